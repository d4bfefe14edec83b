"""Reports say what the yardstick is: retrained networks, copies with weight noise, or networks that were given."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from bench.report.html import render_html
from bench.report.terminal import render
from bench.report.yardsticks import YARDSTICKS
from bench.results import Results

OTHER = re.compile(r"retrain|recipe trained|two trainings|chance in training")
NOISE = re.compile(r"noisy|weight noise|noise of that size")


def in_terminal(run: Results) -> str:
    stream = io.StringIO()
    render(run, Console(file=stream, width=120))
    return stream.getvalue()


FORMATS = {"terminal": in_terminal, "html": render_html}


@pytest.fixture(params=FORMATS)
def shown(request, sample_run) -> Callable[[str], str]:
    """A function from the kind of the yardstick to the report's words."""

    def words(kind: str, count: int = 4) -> str:
        run = sample_run.model_copy(deep=True)
        run.reference.yardstick_kind, run.reference.yardsticks = kind, count
        run.cells = [cell for cell in run.cells if "noise" not in cell.variant]
        run.variants = [variant for variant in run.variants if "noise" not in variant.name]
        run.verdict.because = ""
        return " ".join(html.unescape(FORMATS[request.param](run)).split())

    return words


def test_retrained_networks(shown):
    words = shown("retrained")
    assert "1 = as different as the reference retrained from another seed (4 yardsticks)" in words.replace("\\", "")
    assert (
        "surely further from the reference than one more retrained network" in words
        or "gap (0 same, 1 retrained)" in words
    )
    assert not NOISE.findall(words)


def test_copies_with_weight_noise(shown):
    words = shown("weight-noise")
    assert "under declared weight noise (4 noisy copies, a substitute)" in words.replace("\\", "")
    assert "surely further from the reference than one more copy with weight noise" in words or (
        "gap (0 same, 1 noisy copy)" in words
    )
    assert not OTHER.findall(words)


def test_given_yardsticks_are_called_so(shown):
    """Whoever gives networks as yardsticks may have trained them or not: a report does not know."""
    words = shown("given")
    assert "1 = as different as the given yardsticks (4 networks)" in words.replace("\\", "")
    assert "surely further from the reference than one more yardstick like those given" in words or (
        "gap (0 same, 1 given yardstick)" in words
    )
    assert not OTHER.findall(words)
    assert not NOISE.findall(words)


def test_no_yardstick_claims_neither(shown):
    words = shown("none", 0)
    assert "no yardstick: gaps do not exist in this run" in words
    assert not OTHER.findall(words)
    assert not NOISE.findall(words)


@pytest.mark.parametrize("kind", YARDSTICKS)
def test_the_page_says_it_everywhere(sample_run, kind):
    run = sample_run.model_copy(deep=True)
    run.reference.yardstick_kind = kind
    page, words = render_html(run), YARDSTICKS[kind]
    for sentence in (
        f"gap (0 same, 1 {words.at_one})",
        f"where the {words.networks} themselves lie",
        f"{words.networks} lie between",
        f"1: as different as {words.what}: different, not worse",
        f"is surely further from the reference than {words.further} would be",
        f"surely further from the reference than {words.further}",
        f"in units of what {words.two} differ by: beyond about 2, {words.chance} is no likely cause",
    ):
        assert sentence in page

"""What runs hold beside their leaderboards: a section each on the page of one run, and of several by their names."""

from __future__ import annotations

import re

import pytest

from bench.report.board.html import render_board_html
from bench.report.html import render_html
from bench.report.sections import sections_of
from bench.results import SeriesPoint, SeriesResult
from tests.report.many import of_one_place
from tests.report.test_board_of_equivalents import with_worth

SERIES, WORTH = "With the strength of compression", "What each network is worth in networks of a deep ensemble"


@pytest.fixture(scope="module")
def told(sample_run):
    """A run with two kinds of sections."""
    run = with_worth(of_one_place(sample_run))
    points = [SeriesPoint(variant=f"v{bits}", strength=bits, figures=[bits / 10]) for bits in (4, 6, 8)]
    found = SeriesResult(
        name="bits", axis="bits", target="torch", metric="lipschitz.local", value="global_bound", unit="",
        meaning="ratio", points=points, rank_correlation=1.0, each=[1.0], reason="one replicate has no interval",
    )  # fmt: skip
    return run.model_copy(update={"series": [found]})


def test_only_what_holds_something_is_a_section(sample_run, told):
    assert sections_of(sample_run) == ()
    assert [(part.name, part.heading) for part in sections_of(told)] == [("series", SERIES), ("equivalents", WORTH)]


def test_a_board_of_several_runs_has_those_of_each_by_its_name(sample_run, told):
    second = of_one_place(sample_run, "other")
    page = render_board_html([("a", told), ("b", told.model_copy(update={"sha256": "x"})), ("c", second)])
    summaries = re.findall(r"<summary>(.*?)</summary>", page)
    assert [text for text in summaries if SERIES in text] == [f"digits ({run}): {SERIES}; {WORTH}" for run in "ab"]
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'aria-labelledby="([^"]+)"', page)) <= set(ids)
    own = render_html(told)
    for part in ("h-series", "h-equivalents"):
        drawn = re.search(rf'<section aria-labelledby="{part}">.*?</section>', own, re.DOTALL)[0]
        joined = re.search(rf'<section aria-labelledby="{part}-1-1">.*?</section>', page, re.DOTALL)[0]
        assert joined.replace(f"{part}-1-1", part) == drawn

"""The waterfall of stages: bars that follow each other, figures with their signs, names that stay names."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from rich.console import Console

from bench.report.board import board
from bench.report.html import render_html
from bench.report.interactive import payload
from bench.report.terminal import render
from bench.report.waterfall import Quantity, stages_of
from bench.report.waterfall_text import stages_text
from bench.results import StageMetric, StageResult, StageValue, ValueResult

HOSTILE = "<script>alert('x')</script>\"'&\n\x1b[31m| `x` [red]![i](javascript:1) \u202e"
NO_GRADIENT = "no input gradients on runtime 'onnxruntime'"
TOTALS = {"prune": 0.12, "finetune": 0.05, "ptq": 0.11, "export": 0.11 + 1e-17, "runtime": 0.109}
FLOOR = 1e-9


def value(kind, estimate, **more) -> ValueResult:
    ci = (estimate - 0.01, estimate + 0.012)
    given = {"kind": kind, "estimate": estimate, "ci": ci, "interval": "bootstrap", "numerical_floor": FLOOR}
    return ValueResult(**{**given, **more})


def metric(name, family, stage, values, status="ok", reason="") -> StageMetric:
    return StageMetric(metric=name, family=family, n=600, status=status, reason=reason, values=values)


def at(stage, before, total, since, kind="change", **more) -> StageValue:
    """One stage of a value: its total and what it adds."""
    step = value(kind, abs(total - before)) if kind == "change" else None
    added = value(kind, total - before, **more)
    whole = value(kind, total, **more)
    return StageValue(cumulative=whole, step=step, added=added, since=since, largest=stage == "prune")


def stages(name=str) -> list[StageResult]:
    """Reference to runtime; attacks stop where gradients do."""
    own = {"unit": "proportion", "reference": 0.97, "variant": 0.97, "interval": "score"}
    first = value("quality", 0.0, **own).model_copy(update={"estimate": None, "ci": None, "interval": "none"})
    start = StageValue(cumulative=ValueResult(kind="change", estimate=0.0, reason="the reference itself"))
    harm = StageValue(cumulative=first)
    size = StageValue(cumulative=ValueResult(kind="cost", unit="bytes", variant=104e3, reference=104e3, estimate=1.0))
    found = [("reference", start, harm, start)]
    before, worse, since = 0.0, 0.0, "reference"
    for stage, total in TOTALS.items():
        change = at(stage, before, total, since)
        attack = change if stage in ("prune", "finetune", "ptq") else None
        harm = total / 4 - 0.02  # the second stage ends better than the reference
        found.append((stage, change, at(stage, worse, harm, since, "quality", **own), attack))
        before, worse, since = total, harm, stage
    results = []
    for stage, change, worse, attack in found:
        attacks = {name("verdict_change"): attack} if attack is not None else {}
        reason = "" if attack is not None else name(NO_GRADIENT)
        results.append(
            StageResult(
                name=name(stage),
                target={"name": name("torch" if attack is not None else "edge, not optimised")},
                metrics=[
                    metric(name("fidelity.predictions"), "fidelity", stage, {name("js"): change}),
                    metric("fidelity.accuracy", "fidelity", stage, {"accuracy": worse}),
                    metric("adversarial.pgd", "adversarial", stage, attacks, "skipped" if reason else "ok", reason),
                    metric("cost", "cost", stage, {"file_bytes": size}),
                ],
            )
        )
    return results


def staged_run(run, name=str):
    """The sample with stages on one variant."""
    staged = run.model_copy(deep=True)
    staged.variants[0].stages = stages(name)
    return staged


@pytest.fixture
def staged(sample_run):
    return staged_run(sample_run)


@pytest.fixture
def numbers(staged):
    return stages_of(staged.variants[0], staged.cells)


@pytest.fixture
def shown(numbers):
    return stages_text(numbers)


def test_without_stages_nothing_is_shown(sample_run):
    assert all(stages_of(variant, sample_run.cells) is None for variant in sample_run.variants)
    assert not any("stages" in told for told in payload(board([("", sample_run)], every=True))["groups"][0]["small"])


def test_the_numbers_come_before_the_words(numbers):
    """Bars in the value's own unit, from the total before a stage to its own."""
    fall = numbers.falls[0]
    assert (fall.metric, fall.apart, fall.value, fall.harm) == ("fidelity.predictions", (), "js", False)
    assert [bar.stage for bar in fall.bars] == ["reference", *TOTALS]
    totals = [0.0, *TOTALS.values()]
    assert [bar.end for bar in fall.bars[1:]] == totals[1:]
    assert [bar.start for bar in fall.bars[1:]] == totals[:-1]
    assert [bar.added.estimate for bar in fall.bars[1:]] == [b - a for a, b in pairwise(totals)]
    assert [bar.added.same for bar in fall.bars[1:]] == [False, False, False, True, False]
    first, second = fall.bars[:2]
    assert (first.total.quantity, first.total.estimate, first.start) == (Quantity.START, 0.0, None)
    assert (first.added.quantity, first.added.estimate) == (Quantity.MISSING, None)
    assert (second.total.quantity, second.total.low, second.total.high) == (Quantity.TOTAL, 0.11, 0.132)
    assert second.interval == (0.11, 0.132)
    assert (fall.least, fall.greatest) == (0.0, 0.132)
    harm = numbers.falls[1]
    assert (harm.harm, harm.bars[0].total.quantity, harm.bars[0].total.estimate) == (True, Quantity.OWN, 0.97)
    assert harm.bars[1].added.estimate == pytest.approx(0.01)  # a share, not points
    assert [figure.estimate for figure in numbers.tables[-1].rows[0][1]] == [104e3] * 6
    (missing,) = numbers.missing
    assert (missing.metric, missing.stages, missing.status) == ("adversarial.pgd", ("export", "runtime"), "skipped")
    assert missing.reason == NO_GRADIENT


def test_each_bar_begins_where_the_one_before_it_ended(shown):
    fall = shown.falls[0]
    assert [bar.stage for bar in fall.bars] == ["reference", *TOTALS]
    at_end = fall.zero
    for bar in fall.bars[1:]:
        assert at_end in (bar.span.start, bar.span.end)
        at_end = bar.span.end if at_end == bar.span.start and not bar.back else bar.span.start
        assert bar.span.start <= bar.span.end
    assert [bar.back for bar in fall.bars[1:]] == [False, True, False, False, True]


def test_bars_stay_within_the_strip_also_below_nothing(shown):
    for fall in shown.falls:
        for bar in fall.bars[1:]:
            for span in filter(None, (bar.span, bar.interval)):
                assert 0 <= span.start <= span.end <= 100
        assert 0 <= fall.zero <= 100
    assert shown.falls[1].zero > 20  # a harm below 0 has room on the left


def test_figures_are_signed_and_what_rounding_does_is_called_so(shown):
    fall = shown.falls[0]
    assert [bar.added.value for bar in fall.bars[1:]] == [
        "+0.120",
        "-0.070",
        "+0.060",
        "same within arithmetic",
        "-0.001",
    ]
    assert [bar.stage for bar in fall.bars if bar.largest] == ["prune"]
    assert "prune +0.120 [0.110, 0.132], more than any other" in fall.words
    harm = next(one for one in shown.falls if one.harm)
    assert harm.bars[0].total.value == "97.0 %"
    assert harm.bars[1].added.value == "+1.0 points"


def test_headlines_and_gated_values_are_drawn_and_every_value_is_listed(shown):
    titles = [fall.title for fall in shown.falls]
    assert titles == ["Jensen-Shannon divergence, fidelity.predictions", "accuracy, fidelity.accuracy"]
    assert [table.metric for table in shown.tables][-1] == "cost"
    assert [figure.value for figure in shown.tables[-1].rows[0][1]] == ["104 kB"] * 6


def test_what_was_not_measured_says_why_once(shown):
    assert shown.missing == (f"adversarial.pgd at export, runtime: skipped: {NO_GRADIENT}",)
    verdicts = shown.tables[2].rows[0][1]
    assert [figure.value for figure in verdicts][-2:] == ["–", "–"]
    assert verdicts[-1].reason == NO_GRADIENT


class _Tags(HTMLParser):
    def __init__(self, html) -> None:
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_names_from_a_results_file_cannot_become_elements(staged, sample_run):
    hostile = staged_run(sample_run, lambda text: HOSTILE if text != "js" else "js")
    first = hostile.variants[0]
    for cell in hostile.cells:
        if (cell.variant, cell.target) == (first.name, first.target):
            cell.variant = HOSTILE
    first.name = HOSTILE
    html = render_html(hostile)
    tags, known = _Tags(html), _Tags(render_html(staged))
    assert tags.tags.count("script") == 2
    assert set(tags.tags) <= set(known.tags)
    assert not any(name.startswith("on") or name == "style" for name in tags.attributes)
    assert not re.search(r"\u202e|\x1b", html)


def test_the_page_names_every_stage_with_its_figure(staged, opened):
    page = opened(render_html(staged))
    page.locator("tr[data-row]:not(.reference) a.to-detail").first.click()
    detail = page.locator("#detail")
    assert detail.locator(".fall").count() == 2 * (1 + len(TOTALS))
    assert detail.locator("rect.back").count() == 2
    assert detail.locator("rect.repair").count() == 2
    assert "adversarial.pgd at export, runtime: skipped" in detail.inner_text()
    assert not re.search(r"\b(None|nan|Figure|undefined|null)\b", detail.inner_text())


def test_the_terminal_shows_one_short_table(staged):
    console = Console(width=100, record=True, force_terminal=False)
    render(staged, console)
    text = console.export_text()
    assert "what each stage adds" in text
    assert re.search(r"prune\s+\+0\.120 \*\s+\+1\.0 points", text)
    assert f"adversarial.pgd at export, runtime: skipped: {NO_GRADIENT}" in text


def test_a_small_screen_does_not_scroll_sideways(staged, opened):
    page = opened(render_html(staged), width=420)
    page.locator("tr[data-row]:not(.reference) a.to-detail").first.click()
    boxes = [item.bounding_box() for item in page.locator("#detail .falls, #detail .falls *").all()]
    assert len(boxes) > 12
    assert all(box["x"] + box["width"] <= 421 for box in boxes if box)

"""The page for everyone: kinds of nothing look different, names stay text, axe finds nothing, and it stays quick."""

from __future__ import annotations

import re
from itertools import combinations
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe

from bench.report.board.html import render_board_html
from bench.report.html import render_html
from bench.results import BoundInfo, GateResult, Results
from tests.report.many import many, of_one_place

LONG = "n" * 299 + "!"
HOSTILE = "<script>alert('x')</script>\"'&"


def planted(run: Results) -> Results:
    """The sample with one kind of nothing in each of five variants, in one and the same value."""
    run = run.model_copy(deep=True)
    held = {
        cell.variant: cell for cell in run.cells if cell.metric == "uncertainty.calibration" and cell.target == "torch"
    }
    names = list(held)[:5]
    null, error, skip, open_gate, bound = (held[name] for name in names)
    null.values["nll"] = null.values["nll"].model_copy(
        update={"variant": None, "estimate": None, "ci": None, "reason": "no number exists"}
    )
    error.status, error.reason, error.values = "error", "RuntimeError: it broke", {}
    skip.status, skip.reason, skip.values = "skipped", "does not apply", {}
    gate = GateResult(rule="max_harm", tolerance=0.05, verdict="inconclusive", because="inside the interval")
    open_gate.values["nll"] = open_gate.values["nll"].model_copy(update={"gates": [gate]})
    info = BoundInfo(kind="lower", norm="l2->l2", domain="samples")
    bound.values["nll"] = bound.values["nll"].model_copy(update={"kind": "bound", "bound": info, "estimate": None})
    return run


STYLE = """(cell) => { const item = ['.without', '.against .figure', '.figure']
    .map((name) => cell.querySelector(name)).find(Boolean);
  const style = getComputedStyle(item); const mark = getComputedStyle(item, '::before').content;
  return { text: cell.textContent.trim().replace(/[\\d.]+/g, '#'),
    look: [mark, style.color, style.fontStyle].join(' ') }; }"""


def test_null_error_skip_undecided_and_bound_look_different(sample_run, opened):
    run = planted(sample_run)
    page = opened(render_html(run), anchor=urlencode({"show": "value", "columns": "uncertainty.calibration.nll"}))
    cells = {}
    names = list(dict.fromkeys(cell.variant for cell in run.cells if cell.target == "torch"))[:5]
    for kind, name in zip(("null", "error", "skipped", "undecided", "bound"), names, strict=True):
        row = page.locator("tr[data-row]", has=page.get_by_role("link", name=name, exact=True)).filter(has_text="torch")
        cells[kind] = row.locator("td").nth(1).evaluate(STYLE)
    for one, other in combinations(cells, 2):
        assert cells[one]["text"] != cells[other]["text"], (one, other, cells)
    empty = [cells[kind]["look"] for kind in ("null", "error", "skipped")]
    assert len(set(empty)) == 3, cells
    assert "∅" in empty[0]
    assert "!" in empty[1]
    assert "↷" in empty[2]
    assert "?" in cells["undecided"]["text"]
    assert re.match("[≥≤]", cells["bound"]["text"])


def test_verdicts_look_different(sample_run, opened):
    page = opened(render_html(planted(sample_run)))
    read = "(items) => items.map((item) => [item.className, item.textContent[0], getComputedStyle(item).color])"
    told = {item[0]: item[1:] for item in page.locator("td.verdict-cell strong").evaluate_all(read)}
    assert set(told) == {"ship", "stop", "open", "error"}
    assert len({sign for sign, _ in told.values()}) == 4
    assert len({told[name][1] for name in ("ship", "stop", "open")}) == 3  # an error is as red as a stop


@pytest.fixture
def long_names(hostile_run) -> Results:
    run = hostile_run.model_copy(deep=True)
    second = run.variants[2]
    for cell in run.cells:
        if cell.variant == second.name:
            cell.variant = LONG
    for variant in run.variants:
        if variant.name == second.name and variant is not second:
            variant.name = LONG
    second.name = LONG
    return run


def test_hostile_names_are_text_in_every_view(long_names, opened):
    page = opened(render_html(long_names), width=420)
    foreign = "() => document.querySelectorAll('#detail script, main script, dialog script, main i, #detail i').length"
    links = page.locator("a.to-detail")
    texts = links.all_inner_texts()
    mine = next(place for place, text in enumerate(texts) if HOSTILE in text)
    long = next(place for place, text in enumerate(texts) if LONG in text)
    assert "\u202e" not in page.content()
    dots = page.locator("figure.pareto a.dot title").all_text_contents()
    assert any(HOSTILE in text for text in dots)
    assert HOSTILE in page.locator("figure.pareto").inner_text() or any(HOSTILE in text for text in dots)
    page.locator("figure.pareto select[name=what]").select_option("harm")
    assert any(HOSTILE in text for text in page.locator("figure.pareto a.dot title").all_text_contents())
    page.evaluate("() => document.querySelectorAll('#picker input').forEach((box) => box.checked || box.click())")
    for show in ("value", "harm", "gap", "headline"):
        page.locator("#tools select[name=show]").select_option(show)
        assert HOSTILE in page.locator("table.leaderboard").inner_text()
    page.locator("button.what").first.click()
    assert page.locator("#about").is_visible()
    page.keyboard.press("Escape")
    for place in (mine, long):
        links.nth(place).click()
        assert texts[place] in page.locator("#detail h2").inner_text()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 420
        page.keyboard.press("Escape")
    for place in (mine, long):
        page.locator("input.pick").nth(place).check()
    page.locator("#compare-button").click()
    assert HOSTILE in page.locator("#detail h2").inner_text()
    assert LONG in page.locator("#detail h2").inner_text()
    assert page.evaluate(foreign) == 0
    assert not opened.wrong


def test_a_link_holds_columns_whose_names_have_commas(sample_run, opened):
    run = sample_run.model_copy(deep=True)
    for cell in run.cells:
        if cell.metric == "adversarial.pgd" and cell.params["epsilon"] == 0.05:
            cell.params["steps"] = 40
    page = opened(render_html(run))
    name = "adversarial.pgd[epsilon=0.05,steps=40].robust_error"
    page.locator("#picker summary").click()
    page.locator(f'#picker input[value="{name}"]').check()
    page.locator("#picker input:checked").evaluate_all(
        "(boxes, name) => boxes.filter((box) => box.value !== name).forEach((box) => box.click())", name
    )
    heads = page.locator("table.leaderboard thead th .name").all_inner_texts()
    assert len(heads) == 3, heads
    again = opened(render_html(run), anchor=page.url.partition("#")[2])
    assert again.locator("table.leaderboard thead th .name").all_inner_texts() == heads


def test_a_link_to_a_choice_that_is_not_there_leads_to_the_usual_one(sample_run, opened):
    page = opened(render_html(sample_run), anchor="pareto=none|such&sort=family|none|gap&columns=a,%25&compare=x")
    assert page.locator("#detail h2").inner_text() == "Not on this board"
    assert not opened.wrong


VIEWS = ("first", "value", "picker", "detail", "compare", "dialog")


def show(page, view: str) -> None:
    """Lead an open page from the first screen to a view."""
    keys = page.locator("tr[data-row]:not(.reference) a.to-detail").evaluate_all(
        "(links) => links.map((link) => new URLSearchParams(link.hash.slice(1)).get('open'))"
    )
    if view == "value":
        page.locator("#tools select[name=show]").select_option("value")
    elif view == "picker":
        page.locator("#picker summary").click()
    elif view == "detail":
        page.locator(f'a.to-detail[href*="{keys[2].split("/")[2]}"]').first.click()
        page.locator("#detail details").evaluate_all("(items) => items.forEach((item) => { item.open = true; })")
    elif view == "compare":
        for place in (2, 3):
            page.locator("tr[data-row]:not(.reference) input.pick").nth(place).check()
        page.locator("#compare-button").click()
    elif view == "dialog":
        page.locator("button.what").first.click()


WITHIN = {
    "first": None,
    "value": "main",
    "picker": "#picker",
    "detail": "#detail",
    "compare": "#detail",
    "dialog": "#about",
}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


def serious(page, within: str | None = None, **options) -> list[tuple[str, str, str]]:
    """What axe finds that is serious or critical: rule, element, and what would mend it."""
    told = Axe().run(page, within, {"resultTypes": ["violations"], **options}).response["violations"]
    return [
        (item["id"], node["html"][:160], node["failureSummary"][:200])
        for item in told
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"][:3]
    ]


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(sample_run, opened, theme, width):
    run = of_one_place(planted(sample_run), rows=7)
    page = opened(render_html(run), width=width, color_scheme=theme)
    found = []
    for view in VIEWS:
        page.evaluate("() => { location.hash = ''; }")
        show(page, view)
        found += [(view, *item) for item in serious(page, WITHIN[view], **(COLOURS if theme == "dark" else {}))]
        if view == "picker":
            page.locator("#picker summary").click()
        page.keyboard.press("Escape")
    assert not found, "\n".join(map(str, found))


def test_axe_finds_nothing_serious_on_a_board_of_two_runs(sample_run, opened):
    runs = [(name, of_one_place(sample_run, name, 3)) for name in "ab"]
    page = opened(render_board_html(runs), width=420)
    assert page.locator("table.leaderboard").count() == 1
    page.locator("details.turned summary").click()
    assert not serious(page)


COUNT = "() => document.querySelectorAll('*').length"


def test_few_nodes_at_load_for_eighteen_runs_of_six_variants(sample_run, opened):
    runs = [(f"run{place}", of_one_place(sample_run, f"suite{place}", 6)) for place in range(18)]
    page = opened(render_board_html(runs))
    assert page.locator("tr[data-row]:not(.reference)").count() == 18 * 6
    assert page.evaluate(COUNT) < 15_000


def test_few_nodes_at_load_and_a_sort_only_moves_rows(sample_run, opened):
    page = opened(render_html(many(sample_run, 50, 40)))
    assert page.evaluate(COUNT) < 15_000
    page.evaluate("""() => { const table = document.querySelector('table.leaderboard'); window.seen = [];
      document.querySelectorAll('tr[data-row]').forEach((line, place) => { line.mark = place; });
      new MutationObserver((told) => told.forEach((one) => [...one.addedNodes, ...one.removedNodes]
        .forEach((node) => window.seen.push(node.nodeName))))
        .observe(table.tBodies[0], { childList: true, subtree: true }); }""")
    marks = "() => [...document.querySelectorAll('tr[data-row]')].map((line) => line.mark)"
    before = page.evaluate(marks)
    button = page.locator("button.sort", has_text="network")
    button.click()
    button.click()
    after = page.evaluate(marks)
    assert after != before
    assert sorted(after) == sorted(before)
    assert set(page.evaluate("() => window.seen")) == {"TR"}
    assert not opened.wrong

"""The page for whoever reads it: without a finding of axe-core, with names as hostile as can be, and large ones."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from bench.report.board import board
from bench.report.board.html import render_board_html
from bench.report.html import render_html
from bench.report.interactive import payload

NODES = 15_000
VIEWS = {
    "first screen": lambda page: None,
    "own values": lambda page: page.locator("#tools select[name=show]").select_option("value"),
    "columns": lambda page: page.locator("#picker summary").click(),
    "details": lambda page: page.locator("a.to-detail", has_text="ptq4").first.click(),
    "what a value means": lambda page: page.locator("button.what").first.click(),
    "comparison": lambda page: compare(page),
}


def compare(page):
    for place in (0, 1):
        page.locator("tr[data-row]:not(.reference) input.pick").nth(place).check()
    page.locator("#compare-button").click()


def large(run, rows, values):
    """The run of ``test_html.many``; imported by path, since tests are no package."""
    name = "report_test_html"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("test_html.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name].many(run, rows, values)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 420)])
def test_axe_finds_nothing_serious(sample_run, opened, view, theme, width):
    page = opened(render_html(sample_run), width=width, color_scheme=theme, bypass_csp=True)
    VIEWS[view](page)
    found = Axe().run(page).response["violations"]
    serious = [
        (item["id"], item["nodes"][0]["html"][:200]) for item in found if item["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_hostile_names_are_shown_as_text(hostile_run, opened):
    page = opened(render_html(hostile_run))
    group = payload(board([("", hostile_run)], every=True))["groups"][0]
    key, name = next(
        (key, name) for key, name in zip(group["rows"]["key"], group["rows"]["name"], strict=True) if "<script>" in name
    )
    wanted = page.locator("a.to-detail").filter(has_text="<script>").first
    assert wanted.inner_text() == name
    for act in (
        lambda: wanted.click(),
        lambda: (page.keyboard.press("Escape"), compare(page)),
        lambda: (page.keyboard.press("Escape"), page.locator("button.what").first.click()),
    ):
        act()
        assert page.locator("script").count() == 2
        assert page.locator("i, b, iframe, object, embed").count() == 0
    assert page.title() != "x"
    assert opened.wrong == []
    assert key in payload(board([("", hostile_run)], every=True))["groups"][0]["rows"]["key"]


def test_a_large_page_has_few_nodes_and_a_sort_moves_rows_alone(sample_run, opened):
    page = opened(render_html(large(sample_run, 50, 40)))
    assert page.locator("*").count() < NODES
    page.evaluate(
        """() => {
        window.rows = [...document.querySelectorAll('tr[data-row]')];
        window.made = 0;
        new MutationObserver((told) => told.forEach((each) => each.addedNodes.forEach((node) => {
            if (node.nodeName !== 'TR' && !(node.classList && node.classList.contains('rank'))) window.made += 1;
        }))).observe(document.querySelector('table.leaderboard tbody'), { childList: true, subtree: true });
        }"""
    )
    before = page.locator("tr[data-row] a.to-detail").all_inner_texts()
    button = page.locator('button[data-sort="name"]')
    button.click()
    button.click()
    assert page.locator("tr[data-row] a.to-detail").all_inner_texts() != before
    assert page.evaluate("() => window.rows.every((row) => row.isConnected)")
    assert page.evaluate("() => document.querySelectorAll('tr[data-row]').length === window.rows.length")
    assert page.evaluate("() => window.made") == 0
    page.locator("#tools select[name=show]").select_option("value")
    assert page.locator("*").count() < NODES


def test_a_board_of_eighteen_runs_has_few_nodes(sample_run, opened):
    runs = []
    for number in range(18):
        run = sample_run.model_copy(deep=True)
        run.variants = run.variants[:6]
        run.suite.name, run.suite.data.fingerprint, run.run.machine.fingerprint = f"suite-{number}", "f", "m"
        runs.append((f"run-{number}", run))
    page = opened(render_board_html(runs))
    assert page.locator("*").count() < NODES
    assert page.locator("details.turned").count() == 1
    page.locator("details.turned summary").click()
    assert page.locator("details.turned tbody tr").count() == 18
    assert opened.wrong == []


def test_what_is_no_number_looks_like_what_it_is(sample_run, opened):
    run = sample_run.model_copy(deep=True)
    cells = [cell for cell in run.cells if cell.metric == "fidelity.accuracy"][:4]
    cells[0].status, cells[0].reason, cells[0].values = "error", "ValueError: broken", {}
    cells[1].status, cells[1].reason, cells[1].values = "skipped", "it has no labels", {}
    of = cells[2].values["accuracy"]
    of.variant = of.estimate = of.ci = of.own_ci = None
    of.reason, of.gates = "no number exists", []
    page = opened(render_html(run))
    page.locator("#tools select[name=show]").select_option("value")
    column = page.locator("table.leaderboard thead th").all_inner_texts()
    place = next(i for i, text in enumerate(column) if text.startswith("accuracy")) - 1
    looks = set()
    how = "(item) => [item.innerText, getComputedStyle(item).color, getComputedStyle(item, '::before').content].join()"
    for cell in cells[:3]:
        mine = page.locator(f'a[href*="{cell.variant}/{cell.target}"]')
        line = page.locator("tr[data-row]:not(.reference)").filter(has=mine)
        shown = line.locator("td").nth(place).locator(".without")
        looks.add(shown.evaluate(how))
        assert shown.get_attribute("title") == cell.reason or cell.status == "ok"
    assert len(looks) == 3
    limits = page.locator("td .figure", has_text="≥")
    assert limits.count() > 0

"""The board is true: every number that the page shows or hands out stands in the results, after the stated rounding.

Read in a browser and compared by code that shares nothing with the reports: see ``shown_numbers``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from bench.report.board.html import render_board_html
from bench.report.html import render_html
from bench.report.interactive import packed, unpacked
from bench.results import Results
from tests.report.judged_details import among, without_names, wrong_detail
from tests.report.judged_downloads import wrong_csv, wrong_json
from tests.report.judged_table import wrong_headlines, wrong_values
from tests.report.many import of_one_place, other, ranked
from tests.report.results_truth import Truth
from tests.report.shown_numbers import numbers_in, tokens

REPORTS = sorted(Path(__file__).parents[2].glob("reports/*/results.json"))

READ = """() => JSON.stringify([...document.querySelectorAll('table.leaderboard')].flatMap((table) =>
  [...table.querySelectorAll('tr[data-row]')].map((line) => ({
    key: new URLSearchParams(line.querySelector('a.to-detail').hash.slice(1)).get('open'),
    name: line.querySelector('a.to-detail').textContent,
    cells: [...line.cells].slice(1).map((cell, place) => ({
      column: table.tHead.rows[0].cells[place + 1].dataset.column,
      head: table.tHead.rows[0].cells[place + 1].textContent,
      word: (cell.querySelector('.without') || { className: '' }).className.replace('without ', ''),
      lines: (cell.querySelector('.line') ? [...cell.querySelectorAll('.line')] : [cell])
        .map((item) => item.textContent.replace(/\\s+/g, ' ').trim()),
    })),
  }))))"""
READ_DETAIL = """() => { const text = (item) => item.textContent.replace(/\\s+/g, ' ').trim();
  const box = document.querySelector('#detail');
  return JSON.stringify({ title: text(box.querySelector('h2')),
    headlines: [...box.querySelectorAll('[aria-label^="Family headlines"] tr')]
      .map((line) => [...line.querySelectorAll('.line')].map(text)),
    points: [...box.querySelectorAll('.chart circle title')].map(text),
    falls: [...box.querySelectorAll('.fall > span:last-child')].map(text),
    stages: [...box.querySelectorAll('[aria-label*="by stages"] td')].map(text),
    pairs: [...box.querySelectorAll('div > ul > li')].map(text),
    cells: [...box.querySelectorAll('section.cell')].map((cell) => ({ metric: cell.dataset.metric,
      facts: text(cell.querySelector('p.faint')), all: text(cell),
      tables: [...cell.querySelectorAll('table:not(.values) td')].map(text),
      values: [...cell.querySelectorAll('table.values tbody tr')].map((line) => [...line.cells].map(text)) })) }); }"""


def every_column(page: Any, view: str) -> list[dict[str, Any]]:
    """The table with all columns, chosen by the boxes of the column picker; by a link where there are many rows."""
    boxes = page.locator("#picker input").evaluate_all("(items) => items.map((item) => item.value)")
    if page.locator("tr[data-row]").count() < 30:
        page.locator("#tools select[name=show]").select_option(view)
        page.evaluate("() => document.querySelectorAll('#picker input').forEach((box) => box.checked || box.click())")
    else:
        names = ",".join(map(quoted, boxes))
        at_start(page, urlencode({"show": view, "columns": names}))
    rows = json.loads(page.evaluate(READ))
    names = {cell["column"].removeprefix("value:") for row in rows for cell in row["cells"][1:]}
    assert names == set(boxes), names ^ set(boxes)
    return rows


def quoted(name: str) -> str:
    """As a name stands in a list of a link."""
    return re.sub("[%,|]", lambda match: f"%{ord(match[0]):02X}", name)


def keys_of(page: Any) -> list[str]:
    return [row["key"] for row in json.loads(page.evaluate(READ))]


def saved(page: Any, button: str) -> str:
    with page.expect_download() as told:
        page.locator(button).click()
    return Path(told.value.path()).read_text(encoding="utf-8")


def given_runs(sample_run: Results, name: str) -> dict[str, Results]:
    if name == "sample":
        return {"": ranked(sample_run)}
    if name == "joined":
        return {"first": ranked(of_one_place(sample_run)), "second": ranked(of_one_place(other(sample_run)))}
    return {"": Results.model_validate_json(Path(name).read_text(encoding="utf-8"))}


def rendered(runs: dict[str, Results]) -> str:
    """The page of one run, or the board of several."""
    return render_board_html(list(runs.items())) if len(runs) > 1 else render_html(next(iter(runs.values())))


def run_id(path: str) -> str:
    return path if "/" not in path else Path(path).parent.name


GIVEN = ["sample", "joined", *map(str, REPORTS)]


@pytest.fixture(scope="module", params=GIVEN, ids=run_id)
def run(request, sample_run, chromium, tmp_path_factory):
    """A page that is open, and the results behind it as their file holds them."""
    runs = given_runs(sample_run, request.param)
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(rendered(runs), encoding="utf-8")
    context = chromium.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(file.as_uri())
    page.locator("html[data-ready=yes]").wait_for()
    # a board names runs by their folders or suites; it keeps their order
    mark = "/reference/reference/"
    names = list(dict.fromkeys(key.partition(mark)[0] for key in keys_of(page) if mark in key))
    assert len(names) == len(runs)
    given = zip(names, runs.values(), strict=True)
    yield page, Truth({name: json.loads(one.model_dump_json()) for name, one in given})
    context.close()


def at_start(page: Any, anchor: str = "") -> None:
    """The view of an address, without loading the page anew."""
    page.evaluate("(hash) => { location.hash = hash; }", anchor)
    page.wait_for_function("(hash) => location.hash.slice(1) === hash", arg=anchor)
    page.evaluate("() => new Promise((done) => setTimeout(done))")


def test_numbers_of_the_first_screen(run):
    page, truth = run
    at_start(page)
    rows = json.loads(page.evaluate(READ))
    assert {row["key"] for row in rows} == set(truth.rows)
    wrong = wrong_headlines(rows, truth) if len(truth.runs) == 1 else wrong_values(rows, truth, "value")
    assert not wrong, "\n".join(wrong[:10])


@pytest.mark.parametrize("view", ["value", "harm", "gap"])
def test_numbers_of_every_column(run, view):
    page, truth = run
    at_start(page)
    rows = every_column(page, view)
    wrong = wrong_values(rows, truth, view)
    assert not wrong, "\n".join(wrong[:10])
    shown = sum(len(tokens(line)) for row in rows for cell in row["cells"][1:] for line in cell["lines"])
    assert shown > 20 or view == "gap"


def test_numbers_of_the_details_of_every_row(run):
    page, truth = run
    at_start(page)
    heads = page.locator("table.leaderboard thead").first.locator("th[data-column^='family:']").all()
    families = [(head.get_attribute("data-column").partition(":")[2], head.text_content()) for head in heads]
    wrong = []
    for key, (_, variant, _) in truth.rows.items():
        at_start(page, urlencode({"open": key}))
        told = json.loads(page.evaluate(READ_DETAIL))
        if variant is None:
            assert not told["cells"]
            continue
        if len(truth.runs) > 1:
            told["headlines"] = []
        wrong += [f"{key}: {fault}" for fault in wrong_detail(told, key, truth, families)]
    assert not wrong, "\n".join(wrong[:10])


def test_numbers_of_comparisons(run):
    page, truth = run
    variants = [(key, *told) for key, told in truth.rows.items() if told[1] is not None]
    read, held, wrong = 0, 0, []
    for (first, of, one, _), (second, also, other_one, _) in zip(variants, variants[2:], strict=False):
        same = of is also and one["target"] == other_one["target"]
        at_start(page, urlencode({"compare": f"{quoted(first)},{quoted(second)}"}))
        lines = page.locator("#detail ul > li").all_text_contents()
        both = {one["name"], other_one["name"]}
        kept = numbers_in([item for item in of["variant_ratios"] if {item["first"], item["second"]} == both])
        for rank in of["ranks"]:
            kept += numbers_in([item for item in rank["differences"] if {item["first"], item["second"]} == both])
        kept += [abs(number) for number in kept]
        held += len(kept)
        names = [item["name"] for item in of["variants"]]
        wrong += [text for text in lines if not same or not among(without_names(text, names), kept)]
        read += sum(len(tokens(without_names(text, names))) for text in lines)
    assert not wrong, "\n".join(wrong[:10])
    assert read > 5 or not held


def test_numbers_of_the_downloads(run):
    page, truth = run
    at_start(page)
    keys = keys_of(page)
    wrong = wrong_csv(saved(page, "#csv"), truth, keys) + wrong_json(saved(page, "#json"), truth, keys)
    assert not wrong, "\n".join(wrong[:10])


def test_a_wrong_digit_and_two_rows_in_each_others_place_are_found(sample_run, opened):
    truth = Truth({"digits": json.loads(sample_run.model_dump_json())})
    html = render_html(sample_run)
    data = re.search(r'id="data">([A-Za-z0-9+/=]+)<', html)[1]
    page = opened(html)
    assert not wrong_values(every_column(page, "harm"), truth, "harm")
    moved = unpacked(data)
    column = next(item for item in moved["groups"][0]["columns"] if item["name"] == "uncertainty.calibration.nll")
    place = next(row for row, text in enumerate(column["harm"]) if text)
    first = column["harm"][place]
    column["harm"][place] = first[:-6] + str((int(first[-6]) + 1) % 10) + first[-5:]
    page = opened(html.replace(data, packed(moved)))
    (fault,) = wrong_values(every_column(page, "harm"), truth, "harm")
    assert "uncertainty.calibration.nll" in fault
    page = opened(html)
    swap = """() => { const lines = [...document.querySelectorAll('tr[data-row]:not(.reference)')];
      const two = [lines[0].cells[0], lines[3].cells[0]]; const place = two[0].nextSibling;
      two[1].before(two[0]); place.before(two[1]); }"""
    page.evaluate(swap)
    assert len(wrong_headlines(json.loads(page.evaluate(READ)), truth)) > 5

"""Every number on the page stands in the results, rounded as it shows: read from the page, found by other code."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from bench.cell_id import canonical_parameters
from bench.report.html import render_html
from bench.results import Results

REPORTS = Path(__file__).parents[2] / "reports"
RUNS = sorted(REPORTS.glob("digits*/results.json"))  # what the demo and the gate have measured, where they have
SCALES = {"%": 100, "points": 100, "kB": 1e-3, "MB": 1e-6, "GB": 1e-9, "k": 1e-3, "M": 1e-6, "G": 1e-9}
NUMBER = r"(?P<side>≤|≥|about|<|>)?\s*\+?(?P<digits>-?\d[\d.]*)(?P<power>e-?\d+)?×?(?: (?P<unit>[a-zA-Z%]+))?"
SAME = "same within arithmetic"


def shows(text: str, number: float, unit: str = "") -> bool:
    """Whether a text is the number rounded to the digits that it shows; limits are rounded away from their claim."""
    found = re.match(NUMBER, text)
    assert found, text
    power = int((found["power"] or "e0")[1:])
    shown = float(found["digits"]) * 10.0**power
    step = 10.0 ** (power - len(found["digits"].partition(".")[2]))
    if "." not in found["digits"]:  # 1240 may be of three digits
        step *= 10.0 ** max(0, len(found["digits"].lstrip("-")) - 3)
    right = number * SCALES.get(found["unit"] or unit, 1)
    return abs(shown - right) <= step * (1.000001 if found["side"] else 0.500001)


def interval_of(text: str) -> tuple[str, str] | None:
    found = re.search(r"\[([^,\]]+), ([^\]]+)\]", text)
    return None if found is None else (found[1], found[2])


def agree(text: str, number: float | None, limits=None) -> int:
    """How many numbers of a figure with its interval were found right."""
    text = " ".join(text.split())
    if text.startswith(SAME) or text == "–":
        return 0
    assert number is not None, text
    unit = (re.match(NUMBER, text) or {"unit": ""})["unit"] or ""
    assert shows(text, number), (text, number)
    ends = interval_of(text)
    if ends is None:
        return 1
    for end, right in zip(ends, limits, strict=True):
        assert shows(end, right, unit), (text, end, right)
    return 3


@pytest.fixture(params=["sample", *(path.parent.name for path in RUNS)], scope="module")
def run(request, sample_run) -> Results:
    if request.param == "sample":
        return sample_run
    return Results.model_validate_json((REPORTS / request.param / "results.json").read_text())


READ = """(section) => ({
    metric: section.dataset.metric,
    rows: [...section.querySelectorAll('table.values tbody tr')]
        .map((line) => [...line.cells].map((cell) => cell.innerText)),
})"""


def test_every_number_of_the_details_stands_in_the_results(run, opened):
    page = opened(render_html(run))
    found = 0
    for variant in run.variants:
        link = page.locator(f'a.to-detail[href$="/{variant.name}/{variant.target}"]')
        if link.count() != 1:
            continue
        link.click()
        sections = page.locator("#detail section.cell").evaluate_all(f"(all) => all.map({READ})")
        cells = [cell for cell in run.cells if (cell.variant, cell.target) == (variant.name, variant.target)]
        assert [section["metric"] for section in sections] == [cell.metric for cell in cells]
        for section, cell in zip(sections, cells, strict=True):
            assert len(section["rows"]) == len(cell.values)
            for texts, value in zip(section["rows"], cell.values.values(), strict=True):
                _, reference, own, _, estimate, gap, *_ = texts
                if value.kind != "change":
                    found += agree(reference, value.reference)
                    found += agree(own, value.variant)
                if value.kind == "bound":
                    continue  # its ratio is an interval: its ends are looked at in test_figures
                text = estimate.split(maxsplit=1)[1].strip()
                text = re.sub(r" [✗?▲▼!]", "", text)
                if value.estimate is not None:
                    found += agree(text, value.estimate, value.ci)
                if value.gap is not None and value.gap_ci and None not in value.gap_ci:
                    found += agree(gap, value.gap, value.gap_ci)
                elif gap.startswith("≤"):
                    found += agree(gap, value.gap_ci[1])
        page.keyboard.press("Escape")
    assert found > 100


def right_digits(text: str, number: float) -> bool:
    return float(text) == pytest.approx(number, rel=5.1e-6, abs=1e-300)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_every_number_of_the_downloads_stands_in_the_results(run, opened, kind, tmp_path):
    page = opened(render_html(run))
    with page.expect_download() as told:
        page.locator(f"#{kind}").click()
    path = tmp_path / "download"
    told.value.save_as(path)
    found = 0
    if kind == "csv":
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        read = {(line["variant"], line["target"]): line for line in lines}
    else:
        names = {"number": "", "estimate": ".harm", "gap_number": ".gap"}
        read = {
            (line["variant"], line["target"]): {
                name + names[item]: number
                for name, held in line["values"].items()
                for item, number in held.items()
                if item in names
            }
            for line in json.loads(path.read_text(encoding="utf-8"))
        }
    several = {cell.metric for cell in run.cells for other in run.cells if other.metric == cell.metric
               and canonical_parameters(other.params) != canonical_parameters(cell.params)}  # fmt: skip
    for cell in run.cells:
        line = read[cell.variant, cell.target]
        if cell.metric in several or cell.status != "ok":
            continue
        for name, value in cell.values.items():
            if value.kind != "change" and value.variant is not None:
                found += right_digits(line[f"{cell.metric}.{name}"], value.variant)
                assert right_digits(line[f"{cell.metric}.{name}"], value.variant)
            if value.estimate is not None and value.kind in ("change", "quality", "pair"):
                found += 1
                assert right_digits(line[f"{cell.metric}.{name}.harm"], value.estimate)
            if value.gap is not None and value.gap_ci and None not in value.gap_ci:
                found += 1
                assert right_digits(line[f"{cell.metric}.{name}.gap"], value.gap)
    assert found > 100


TABLE = """(table) => [...table.querySelectorAll('tr[data-row]:not(.reference)')].map((line) => ({
    key: line.querySelector('a.to-detail').getAttribute('href'),
    cells: [...line.cells].slice(2).map((cell) => cell.innerText) }))"""


@pytest.mark.parametrize("show", ["harm", "gap"])
def test_every_number_of_the_table_stands_in_the_results(run, opened, show):
    page = opened(render_html(run))
    page.locator("#picker summary").click()
    page.evaluate("() => document.querySelectorAll('#picker input').forEach((box) => { box.checked = true; })")
    page.locator("#picker input").first.dispatch_event("change")
    heads = page.locator("table.leaderboard thead th").evaluate_all(
        "(all) => all.slice(2).map((head) => head.dataset.column)"
    )
    names = [head.removeprefix("value:") for head in heads]
    page.evaluate("(show) => { location.hash = location.hash.replace(/show=[a-z]*/, '') + '&show=' + show; }", show)
    page.locator(f'th[data-show="{show}"]').first.wait_for()
    lines = page.locator("table.leaderboard").evaluate(TABLE)
    values = {}
    for cell in run.cells:
        for name, value in cell.values.items():
            values.setdefault((f"{cell.variant}/{cell.target}", f"{cell.metric}.{name}"), []).append(value)
    found = 0
    for line in lines:
        for name, text in zip(names, line["cells"], strict=True):
            key = next((key for key in values if line["key"].endswith(key[0]) and key[1] == name), None)
            if key is None or len(values[key]) != 1:
                continue
            (value,) = values[key]
            text = re.sub(r" [✗?▲▼!]", "", text)
            if show == "harm" and value.kind in ("change", "quality", "pair") and value.estimate is not None:
                found += agree(text, value.estimate, value.ci)
            if show == "gap" and value.gap is not None and value.gap_ci and None not in value.gap_ci:
                found += agree(text, value.gap, value.gap_ci)
    assert found > 50

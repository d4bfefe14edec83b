"""The board is true: every number that the page shows or hands out stands in the results, after the stated rounding.

Read in a browser and compared by code that shares nothing with the reports: see ``shown_numbers``.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from bench.families import FAMILIES
from bench.report.board.html import render_board_html
from bench.report.html import render_html
from bench.report.interactive import packed, unpacked
from bench.results import Results
from tests.report.many import of_one_place, other, ranked
from tests.report.shown_numbers import faults, numbers_in, percent, tokens

REPORTS = sorted(Path(__file__).parents[2].glob("reports/*/results.json"))
HARMS = ("quality", "pair")
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


def canonical(parameters: dict[str, Any]) -> str:
    return json.dumps(parameters, sort_keys=True)


def replicate(told: dict[str, Any]) -> str:
    """What a key ends with."""
    number = told["replicate"]
    return "" if number == 0 else f"#{'all' if number is None else number}"


@dataclass(frozen=True)
class Truth:
    """The results of the runs of one page, as the file holds them, by what the page calls them."""

    runs: dict[str, dict[str, Any]]

    @cached_property
    def rows(self) -> dict[str, tuple[dict[str, Any], dict[str, Any] | None, list[dict[str, Any]]]]:
        """(run, variant or nothing for a reference, its cells) by key."""
        found: dict[str, Any] = {}
        for name, run in self.runs.items():
            for cell in run["cells"]:
                cell["like"] = cell["metric"], canonical(cell["params"])
            for variant in run["variants"]:
                place = variant["target"], variant["replicate"]
                mark = replicate(variant)
                held = [cell for cell in run["cells"] if (cell["target"], cell["replicate"]) == place]
                found.setdefault(f"{name}/reference/reference/{place[0]}{mark}", (run, None, held))
                mine = [cell for cell in held if cell["variant"] == variant["name"]]
                found[f"{name}/variant/{variant['name']}/{place[0]}{mark}"] = run, variant, mine
        return found

    @cached_property
    def ranks(self) -> dict[tuple[str, str, str, str], tuple[int, int]]:
        """The first and last place by key of a row and (metric, parameters, value)."""
        return {
            (place, rank["metric"], canonical(rank["params"]), rank["value"]): (entry["low"], entry["high"])
            for name, run in self.runs.items()
            for rank in run["ranks"]
            for entry in rank["entries"]
            for place in [f"{name}/variant/{entry['variant']}/{entry['target']}{replicate(rank)}"]
        }

    def columns(self, shown: Sequence[str]) -> dict[str, tuple[str, str, str] | None]:
        """From the name of a column to (metric, parameters, value); nothing of columns that are made of others."""
        named: dict[tuple[str, str, str], dict[str, Any]] = {}
        for run in self.runs.values():
            for cell in run["cells"]:
                for value in cell["values"]:
                    named[cell["metric"], canonical(cell["params"]), value] = cell["params"]
        found: dict[str, tuple[str, str, str] | None] = {}
        for name in shown:
            match = [
                key
                for key, parameters in named.items()
                if name.startswith(key[0])
                and name.endswith(f".{key[2]}")
                and _within(name[len(key[0]) : -len(key[2]) - 1], parameters)
            ]
            assert len(match) <= 1, (name, match)
            found[name] = match[0] if match else None
        return found


def _within(apart: str, parameters: dict[str, Any]) -> bool:
    """Whether the words in brackets are what these parameters say."""
    if not apart:
        return True
    if not (apart.startswith("[") and apart.endswith("]")):
        return False
    rest = apart[1:-1]
    for part in re.split(r",(?=[a-z_]+=)", rest):
        name, _, value = part.partition("=")
        if str(parameters.get(name)) != value:
            return False
    return True


def pair(limits: Any) -> list[float]:
    """The ends of an interval that are known."""
    return [end for end in limits or () if end is not None]


def within_floor(value: dict[str, Any]) -> bool:
    """Whether a figure may be called the same within arithmetic: it does not exceed its floor."""
    return value["estimate"] is not None and abs(value["estimate"]) <= (value["numerical_floor"] or 0.0)


def estimate(text: str, value: dict[str, Any]) -> str:
    """What is wrong with the text of a change, a harm or a ratio."""
    if text.startswith("same within arithmetic"):
        return "" if within_floor(value) else f"{text!r} beside {value['estimate']}, floor {value['numerical_floor']}"
    if value["bound"] and value["estimate"] is None:
        ends = pair(value["bound"]["ratio"])
        return faults(text, ends, value["unit"]) if ends else "" if text in ("–", "") else f"{text!r} of no ratio"
    if value["estimate"] is None:
        return "" if text in ("–", "") else f"{text!r} of no estimate"
    limits = pair(value["ci"]) if value["kind"] not in ("bound", "cost") else []
    return faults(text, [value["estimate"], *limits], value["unit"])


def gap(text: str, number: float | None, limits: Any) -> str:
    """What is wrong with the text of a gap: an upper limit where only that is known."""
    low, high = limits or (None, None)
    if low is None and high is not None:
        right = text == "0" if high == 0 else text.startswith("≤")
        return faults(text, [high]) if right else f"{text!r} of an upper limit {high}"
    if number is None:
        return "" if text in ("–", "no figure", "") else f"{text!r} of no gap"
    return faults(text, [number, *([low, high] if None not in (low, high) else [])])


def own(text: str, value: dict[str, Any], side: str) -> str:
    """What is wrong with the text of a network's own figure, without its interval."""
    number = value[side]
    if number is None:
        return "" if text in ("–", "", "no figure") else f"{text!r} of nothing"
    if value["bound"]:
        sign = {"lower": "≥", "certified": "≤", "estimate": "about"}[value["bound"]["kind"]]
        if not text.startswith(f"{sign} "):
            return f"{text!r} does not say {sign}"
    return faults(text, [number], value["unit"])


def without(cell: dict[str, Any], status: str, words: str) -> str:
    return "" if cell["word"] == status and cell["lines"][0] == words else f"{cell} is {status}"


def of_reference(told: dict[str, Any], key: tuple[str, str, str], cells: list[dict[str, Any]]) -> str:
    """The reference's own figure: beside each variant the same one, or a range of them."""
    mine = [cell for cell in cells if cell["like"] == key[:2]]
    kept = [cell["values"][key[2]] for cell in mine if cell["status"] == "ok" and key[2] in cell["values"]]
    text = told["lines"][0]
    if not mine:
        return without(told, "absent", "not measured")
    known = [value for value in kept if value["reference"] is not None]
    if not known:
        return "" if told["word"] in ("itself", "null", "error", "skipped", "absent") else f"{told} of nothing"
    numbers = [value["reference"] for value in known]
    if min(numbers) < max(numbers):
        return faults(text, [min(numbers), max(numbers)], known[0]["unit"])
    limits = [] if known[0]["bound"] else pair(known[0]["reference_ci"])
    return faults(text, [numbers[0], *limits], known[0]["unit"])


def of_variant(told: dict[str, Any], key: tuple[str, str, str], cells: list[dict[str, Any]], view: str) -> str:
    """A variant's cell of one value in one view."""
    mine = next((cell for cell in cells if cell["like"] == key[:2]), None)
    if mine is None or (mine["status"] == "ok" and key[2] not in mine["values"]):
        return without(told, "absent", "not measured")
    if mine["status"] != "ok":
        return without(told, mine["status"], mine["status"])
    value, lines = mine["values"][key[2]], told["lines"]
    if view == "gap":
        return gap(lines[0], value["gap"], value["gap_ci"]) if value["kind"] == "change" or lines[0] != "–" else ""
    number = value["estimate"] if value["kind"] == "change" else value["variant"]
    if number is None:
        return without(told, "null", "no figure")
    if view == "harm" or value["kind"] == "change":
        return estimate(lines[0], value)
    head = own(lines[0], {**value, "own_ci": None}, "variant") if value["bound"] else ""
    if not value["bound"]:
        head = faults(lines[0].removesuffix(" no interval"), [number, *pair(value["own_ci"])], value["unit"])
        if lines[0].endswith("no interval") != (value["kind"] in HARMS and not pair(value["own_ci"])):
            head = head or f"{lines[0]!r} beside the interval {value['own_ci']}"
    against = lines[1].removesuffix(" no interval") if len(lines) > 1 else ""
    return head or estimate(against, value)


def derived(told: dict[str, Any], name: str, row: tuple[Any, Any, list[dict[str, Any]]], view: str) -> str:
    """Columns that are made of two figures: shares kept, worth of networks."""
    run, variant, cells = row
    text = told["lines"][0]
    if view != "value" or told["word"]:
        return "" if not tokens(text) else f"{name}: {told}"
    if name.startswith("uncertainty.members") and name.endswith(".kept"):
        value = next(cell["values"]["disagreement"] for cell in cells if cell["metric"] == "uncertainty.members")
        return faults(text.removesuffix(" no interval"), [value["variant"] / value["reference"]])
    assert name.startswith("equivalent"), name
    role = ("reference", "reference") if variant is None else ("variant", variant["name"])
    place = (*role, cells[0]["target"])
    section = next(item for item in run["equivalents"] if f"pool={item['name']}" in name or "[" not in name)
    mine = next(item for item in section["networks"] if (item["role"], item["name"], item["target"]) == place)
    kind = name.rpartition(".")[2]
    if kind in ("cpu_seconds", "epochs"):
        return faults(text, [mine[kind]])
    cost = {"networks": 1e6, "per_megabyte": mine["file_bytes"], "per_megamac": mine["macs"]}[kind]
    wanted = [number * 1e6 / cost for number in (mine["equivalent"], *mine["ci"])]
    return faults(text, wanted, "1/MB", "1/MMAC")


def wrong_values(rows: list[dict[str, Any]], truth: Truth, view: str) -> list[str]:
    """What is wrong in a table of values."""
    names = {cell["column"].removeprefix("value:") for row in rows for cell in row["cells"][1:]}
    keys = truth.columns(sorted(names))
    wrong = []
    for row in rows:
        _, variant, cells = truth.rows[row["key"]]
        assert row["name"] == ("reference" if variant is None else variant["name"])
        for told in row["cells"][1:]:
            name = told["column"].removeprefix("value:")
            key = keys[name]
            if key is None:
                fault = derived(told, name, truth.rows[row["key"]], view)
            elif variant is None:
                fault = of_reference(told, key, cells) if view == "value" else ""
                if view != "value" and tokens(told["lines"][0]):
                    fault = f"{told} of a reference"
            else:
                fault = of_variant(told, key, cells, view)
            if fault:
                wrong.append(f"{view}, {row['key']}, {name}: {fault}")
    return wrong


def harm_of(family: str, cells: list[dict[str, Any]], title: str) -> tuple[dict[str, Any], str] | None:
    """The cell and the name of the value that a headline shows as harm: the one that its head names."""
    plain = re.sub(r" \(.*", "", title).lower()
    named = [name for name in FAMILIES[family].harms if name.rpartition(".")[2].replace("_", " ") == plain]
    for cell in cells:
        for name in cell["values"]:
            words = all(str(part) in title for part in re.findall(r"[\d.]+", title))
            of = f"{cell['metric']}.{name}" in named or name.replace("_", " ") == plain
            apart = re.findall(r"(\w+) ([\d.]+)", title.partition("(")[2])
            if cell["family"] == family and of and words and all(_said(cell["params"], *item) for item in apart):
                return cell, name
    return None


def _said(parameters: dict[str, Any], name: str, number: str) -> bool:
    return any(key.endswith(name) and str(value) == number for key, value in parameters.items())


def wrong_headlines(rows: list[dict[str, Any]], truth: Truth) -> list[str]:
    """What is wrong on the first screen of a single run."""
    wrong = []
    names = [cell["column"] for cell in rows[0]["cells"] if cell["column"].startswith("value:")]
    keys = truth.columns([name.removeprefix("value:") for name in names])
    for row in rows:
        _, variant, cells = truth.rows[row["key"]]
        for told in row["cells"][1:]:
            kind, _, name = told["column"].partition(":")
            if kind == "value":
                read = of_reference(told, keys[name], cells) if variant is None else ""
                fault = read if variant is None else of_variant(told, keys[name], cells, "value")
            elif variant is not None:
                fault = of_family(told["lines"], name, told["head"], variant, cells)
            else:
                found = harm_of(name, cells, harm_title(told["head"]))
                key = None if found is None else (*found[0]["like"], found[1])
                fault = (
                    "" if key is None and told["lines"] in (["–"], ["not measured"]) else of_reference(told, key, cells)
                )
            if fault:
                wrong.append(f"headlines, {row['key']}, {name}: {fault}")
    return wrong


def harm_title(head: str) -> str:
    return re.sub(r"(gap \(0 same|change:|by harm).*", "", re.sub(r"^.*?harm: ", "", " ".join(head.split()))).strip()


def of_family(lines: list[str], family: str, head: str, variant: dict[str, Any], cells: list[dict[str, Any]]) -> str:
    """Harm, gap or change, and alarm of one family of a variant."""
    entry = variant["families"].get(family)
    for line in lines:
        word, _, text = line.partition(" ")
        if word == "harm":
            found = harm_of(family, cells, harm_title(head))
            if found is None:
                fault = "" if text in ("skipped", "error", "not measured", "– ✗", "–") else f"{line!r} of nothing"
            elif found[0]["status"] != "ok":
                fault = "" if text == found[0]["status"] else f"{line!r} of a cell with {found[0]['status']}"
            elif found[0]["values"][found[1]]["variant"] is None:
                fault = "" if text == "no figure" else f"{line!r} of nothing"
            else:
                fault = estimate(text, found[0]["values"][found[1]])
        elif word == "gap":
            fault = gap(text.removesuffix(" !"), entry["gap"], entry["gap_ci"])
            loud = entry["alarm"] is not None and entry["alarm"] >= 1
            fault = fault or ("" if ("!" in text) == loud else f"{line!r} beside an alarm of {entry['alarm']}")
        elif word == "change":
            like = entry["headline"]
            cell = next((c for c in cells if (c["metric"], c["params"]) == (like["metric"], like["params"])), None)
            if cell is None or cell["status"] != "ok":
                fault = "" if text in ("skipped", "error", "not measured") else f"{line!r} of nothing"
            else:
                value = cell["values"].get(like["value"])
                nothing = value is None or value["estimate"] is None
                fault = ("" if not tokens(text) else f"{line!r} of nothing") if nothing else estimate(text, value)
        else:  # the words of an alarm
            fault = faults(line, [entry["alarm"]]) if entry["alarm"] is not None else f"{line!r} without an alarm"
        if fault:
            return fault
    return ""


def wrong_detail(told: dict[str, Any], key: str, truth: Truth, families: list[tuple[str, str]]) -> list[str]:
    """What is wrong in all that is told of one variant."""
    run, variant, cells = truth.rows[key]
    assert variant is not None
    wrong = [
        fault
        for lines, (family, head) in zip(told["headlines"], families, strict=True)
        if (fault := of_family(lines, family, head, variant, cells))
    ]
    if [cell["metric"] for cell in told["cells"]] != [cell["metric"] for cell in cells]:
        wrong.append(f"metrics {[cell['metric'] for cell in told['cells']]}")
    for shown, cell in zip(told["cells"], cells, strict=False):
        wrong += [f"{cell['metric']}: {fault}" for fault in of_cell(shown, cell)]
    kept = [
        *(number for cell in cells for number in numbers_in([cell["details"], cell["params"], cell["values"]])),
        *(mean for cell in cells for mean in means_over_kinds(cell)),
    ]
    wrong += [f"table {text!r}" for cell in told["cells"] for text in cell["tables"] if not among(text, kept)]
    staged = [*numbers_in(variant["stages"]), *kept]
    wrong += [f"point {text!r}" for text in told["points"] if not among(text.partition(": ")[2], kept)]
    wrong += [f"stage {text!r}" for text in (*told["falls"], *told["stages"]) if not among(text, staged)]
    names = [item["name"] for item in run["variants"]]
    ratios = numbers_in(run["variant_ratios"])
    wrong += [f"pair {text!r}" for text in told["pairs"] if not among(without_names(text, names), ratios)]
    return wrong


def without_names(text: str, names: Sequence[str]) -> str:
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "")
    return re.sub(r"\([^)]*\)", "", text).partition(": ")[2]


def means_over_kinds(cell: dict[str, Any]) -> list[float]:
    """What a curve over kinds of corruptions shows."""
    found = []
    for side in ("reference", "variant"):
        for table in (cell["details"].get(side) or {}).values() if isinstance(cell["details"].get(side), dict) else ():
            rows = list(table.values()) if isinstance(table, dict) else []
            numbers = all(isinstance(row, list) and not any(isinstance(item, str) for item in row) for row in rows)
            if rows and numbers and len(set(map(len, rows))) == 1:
                found += [sum(told) / len(told) for told in zip(*rows, strict=True) if None not in told]
    return [number for number in found if isinstance(number, float)]


def among(text: str, kept: list[float]) -> bool:
    """Whether every number of a text is a rounding of one of these."""
    return all(token.agrees_with_one_of(kept, percent(text)) for token in tokens(text))


def of_cell(shown: dict[str, Any], cell: dict[str, Any]) -> list[str]:
    """What is wrong in the small print of one metric."""
    wrong = []
    if not shown["facts"].startswith(f"{cell['n']} samples · "):
        wrong.append(shown["facts"])
    for name, item in {**cell["params"], **cell["protocol"]}.items():
        said = "–" if item is None else item
        said = ("yes" if item else "no") if isinstance(item, bool) else said
        if not isinstance(item, dict | list) and f"{name} {said}" not in shown["facts"]:
            wrong.append(f"{name} {item} is not in {shown['facts']!r}")
    if cell["reason"] and " ".join(cell["reason"].split()) not in shown["all"]:
        wrong.append(f"the reason {cell['reason']!r} is not there")
    if len(shown["values"]) != len(cell["values"]):
        return [*wrong, f"{len(shown['values'])} values of {len(cell['values'])}"]
    for texts, (name, value) in zip(shown["values"], cell["values"].items(), strict=True):
        meant = {"change": "change", "bound": "ratio", "cost": "ratio"}.get(value["kind"], "harm")
        _, reference, variant, retrained, moved, scaled, seeds, p, floor, last = texts
        word, _, moved = moved.partition(" ")
        checks = [
            own(reference, value, "reference"),
            own(variant, value, "variant"),
            yardsticks(retrained, value),
            "" if word == meant else f"{word} is no {meant}",
            estimate(moved, value),
            gap(scaled, value["gap"], value["gap_ci"]) if value["kind"] == "change" else faults(scaled, []),
            faults(seeds, [] if value["seed_ratio"] is None else [value["seed_ratio"]]),
            p_value(p, value["p_value"]),
            faults(floor, [] if value["numerical_floor"] is None else [value["numerical_floor"]]),
            *(
                f"{gate['verdict']}: {gate['because']} is not in {last!r}"
                for gate in value["gates"]
                if gate["verdict"] not in last or " ".join(gate["because"].split()) not in last
            ),
            remarks(last, value),
        ]
        wrong += [f"{name}: {fault}" for fault in checks if fault]
    return wrong


def yardsticks(text: str, value: dict[str, Any]) -> str:
    """The least and the most of the yardsticks' own changes or figures."""
    known = [number for number in value["yardsticks"] if number is not None]
    if not known:
        return "" if text in ("–", "") else f"{text!r} of no yardstick"
    return faults(text, sorted({min(known), max(known)}), value["unit"])


def p_value(text: str, number: float | None) -> str:
    if number is not None and number < 0.001:
        return "" if text == "< 0.001" else f"p {text} of {number}"
    return faults(text, [] if number is None else [number])


def remarks(text: str, value: dict[str, Any]) -> str:
    """The numbers in the remarks that are not the results' own words."""
    found = re.search(r"gap (≥ [^ ]+) beside one further yardstick", text)
    if found:
        return faults(found[1], [value["gap_further"]])
    found = re.search(r"measured ([^ ,;]+), the floor is ([^ ,;]+)", text)
    return faults(f"{found[1]} {found[2]}", [value["estimate"], value["numerical_floor"]]) if found else ""


def near(number: Any, wanted: float | None) -> bool:
    """To six significant digits; nothing where there is nothing."""
    if wanted is None:
        return number in ("", None)
    return number not in ("", None) and math.isclose(float(number), wanted, rel_tol=5.1e-6)


def downloads(truth: Truth, key: str, column: tuple[str, str, str]) -> dict[str, float | None] | None:
    """What a file must hold of one value of one row; nothing where it must hold no figure."""
    _, variant, cells = truth.rows[key]
    mine = [cell for cell in cells if cell["like"] == column[:2]]
    kept = [cell["values"][column[2]] for cell in mine if cell["status"] == "ok" and column[2] in cell["values"]]
    if not kept:
        return None
    value = kept[0]
    nothing = dict.fromkeys(ENDINGS.values())
    if variant is None:
        numbers = [value["reference"] for value in kept if value["reference"] is not None]
        if numbers and min(numbers) < max(numbers):
            return {**nothing, "low": min(numbers), "high": max(numbers)}
        if not numbers:
            return nothing
        low, high = kept[0]["reference_ci"] or (None, None)
        return {**nothing, "number": numbers[0], "low": low, "high": high}
    change = value["kind"] == "change"
    low, high = (value["ci"] if change else value["own_ci"]) or (None, None)
    ratio = value["bound"]["ratio"] if value["bound"] else value["ci"]
    scaled = value["gap_ci"] or (None, None)
    upper = scaled[0] is None and scaled[1] is not None
    first, last = truth.ranks.get((key, *column), (None, None))
    return {
        "number": value["estimate"] if change else value["variant"],
        "low": low,
        "high": high,
        "harm": value["estimate"],
        "harm_low": (ratio or (None, None))[0],
        "harm_high": (ratio or (None, None))[1],
        "gap": None if upper or not change else value["gap"],
        "gap_low": scaled[0] if change else None,
        "gap_high": scaled[1] if change else None,
        "rank_low": first,
        "rank_high": last,
    }


ENDINGS = {
    "": "number", ".low": "low", ".high": "high", ".harm": "harm", ".harm_low": "harm_low", ".harm_high": "harm_high",
    ".gap": "gap", ".gap_low": "gap_low", ".gap_high": "gap_high",
    ".rank_low": "rank_low", ".rank_high": "rank_high",
}  # fmt: skip


def wrong_csv(text: str, truth: Truth, keys: list[str]) -> list[str]:
    """What is wrong in the file of comma-separated values; ``keys``: of its lines, in order."""
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == len(keys)
    heads = list(lines[0])[4:]
    names = [head for head in heads if f"{head}.status" in heads]
    columns = truth.columns(names)
    wrong, read = [], 0
    for line, key in zip(lines, keys, strict=True):
        _, variant, _ = truth.rows[key]
        assert line["variant"] == ("reference" if variant is None else variant["name"])
        for name, column in columns.items():
            wanted = None if column is None else downloads(truth, key, column)
            for ending, what in ENDINGS.items():
                given = line.get(f"{name}{ending}", "")
                read += given != ""
                if column is not None and not near(given, None if wanted is None else wanted[what]):
                    wrong.append(f"CSV, {key}, {name}{ending}: {given} of {wanted and wanted[what]}")
    assert read > 50
    return wrong


def wrong_json(text: str, truth: Truth, keys: list[str]) -> list[str]:
    """What is wrong in the file of JSON."""
    given = {
        "number": "number", "low": "low", "high": "high", "estimate": "harm", "estimate_low": "harm_low",
        "estimate_high": "harm_high", "gap_number": "gap", "gap_low": "gap_low", "gap_high": "gap_high",
        "rank_low": "rank_low", "rank_high": "rank_high",
    }  # fmt: skip
    wrong = []
    for line, key in zip(json.loads(text), keys, strict=True):
        columns = truth.columns(list(line["values"]))
        for name, told in line["values"].items():
            wanted = None if columns[name] is None else downloads(truth, key, columns[name])
            for mine, what in given.items():
                if columns[name] is not None and not near(told.get(mine), None if wanted is None else wanted[what]):
                    wrong.append(f"JSON, {key}, {name}: {mine} {told.get(mine)} of {wanted and wanted[what]}")
    return wrong


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

"""Which cells of a page's table are no rounding of what the results say; ``view``: value, harm or gap."""

from __future__ import annotations

import re
from typing import Any

from bench.families import FAMILIES
from tests.report.results_truth import HARMS, Truth, pair, within_floor
from tests.report.shown_numbers import faults, tokens


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

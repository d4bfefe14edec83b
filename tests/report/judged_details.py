"""Which numbers of a network's details are no rounding of what the results say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tests.report.judged_table import estimate, gap, of_family, own
from tests.report.results_truth import Truth
from tests.report.shown_numbers import faults, numbers_in, percent, tokens


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

"""Which numbers of a page's CSV and JSON are not those of the results."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from tests.report.results_truth import Truth


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

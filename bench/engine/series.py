"""Values along a series of variants: each replicate's figures, and their rank correlation with the strength."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, TypeAlias

from bench.cell_id import canonical_parameters
from bench.results import Cell, SeriesPoint, SeriesResult, ValueResult
from bench.stats.rank_correlation import over_replicates
from bench.suite.suite import Series, Suite

Meaning: TypeAlias = Literal["ratio", "harm", "change"]
NOTHING_DONE: dict[Meaning, float] = {"ratio": 1.0, "harm": 0.0}  # the reference beside itself


def series_of(suite: Suite, cells: Sequence[Cell]) -> list[SeriesResult]:
    """Every series that the suite asks for, on each target, of each of its values and of each cell that has it."""
    groups: dict[tuple[str, str, str], dict[tuple[str, int], Cell]] = defaultdict(dict)
    for cell in cells:
        if cell.replicate is not None:
            key = cell.target, cell.metric, canonical_parameters(cell.params)
            groups[key][cell.variant, cell.replicate] = cell
    return [
        _along(series, name.removeprefix(f"{metric}."), found, suite.replicates)
        for series in suite.series
        for name in series.values
        for (_, metric, _), found in groups.items()
        if name.rpartition(".")[0] == metric and any(variant in dict(series.points) for variant, _ in found)
    ]


def meaning_of(value: ValueResult) -> Meaning:
    """What is looked at: variant / reference of bounds and costs, the change, or the harm."""
    return "ratio" if value.kind in ("bound", "cost") else "change" if value.kind == "change" else "harm"


def figure_of(value: ValueResult) -> float | None:
    """A value's figure in a series; None where there is none."""
    if meaning_of(value) != "ratio":
        return value.estimate
    return value.variant / value.reference if value.variant is not None and value.reference else None


def _along(series: Series, value: str, cells: dict[tuple[str, int], Cell], replicates: int) -> SeriesResult:
    names = dict(series.points)
    first = next(cell for (variant, _), cell in cells.items() if variant in names)
    held = next((cell.values[value] for cell in cells.values() if value in cell.values), None)
    meaning = "change" if held is None else meaning_of(held)
    points = []
    if series.reference is not None and meaning in NOTHING_DONE:
        figures: list[float | None] = [NOTHING_DONE[meaning]] * replicates
        points.append(SeriesPoint(variant=None, strength=series.reference, figures=figures))
    for variant, strength in series.points:
        figures = []
        for number in range(replicates):
            cell = cells.get((variant, number))
            figures.append(None if cell is None or value not in cell.values else figure_of(cell.values[value]))
        points.append(SeriesPoint(variant=variant, strength=strength, figures=figures))
    result = SeriesResult(
        name=series.name, axis=series.axis, target=first.target, metric=first.metric, params=first.params,
        family=first.family, value=value, unit="" if held is None else held.unit, meaning=meaning, points=points,
    )  # fmt: skip
    rows = [[point.figures[number] for point in points] for number in range(replicates)]
    whole = [[figure for figure in row if figure is not None] for row in rows]
    if missing := [point.variant for point in points if None in point.figures]:
        result.reason = f"not every replicate has a figure at {', '.join(map(str, missing))}"
        return result
    found = over_replicates([point.strength for point in points], whole)
    low, high = found.interval.low, found.interval.high
    result.rank_correlation, result.each, result.reason = found.mean, list(found.each), found.reason
    result.rank_ci = None if low is None or high is None else (low, high)
    return result

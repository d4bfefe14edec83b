"""Curves of a variant and its reference, as lines of numbers: one chart function of the page draws them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from bench.cell_id import canonical_parameters
from bench.report.interactive.tables import layer_norms, side_of
from bench.results import Cell, ValueResult
from bench.wording import plain, title

Line: TypeAlias = dict[str, Any]  # name, x, y, and where they are known low, high, and the names of the points
SIDES: Final = ("reference", "variant")


def chart(heading: str, x: str, y: str, lines: Sequence[Line], *, diagonal: bool = False) -> dict[str, Any]:
    """One chart; ``diagonal``: points on x = y are right."""
    return {"title": heading, "x": x, "y": y, "lines": list(lines), **({"diagonal": True} if diagonal else {})}


def charts(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Every chart that the cells of one variant hold."""
    found = [
        made
        for cell in cells
        for key, make in SHAPES.items()
        if any(key in side_of(cell, side) for side in SIDES)
        for made in make(cell, key)
    ]
    return [*found, *over_a_parameter(cells)]


def _pairs(cell: Cell, key: str, x: str, y: str) -> list[Line]:
    """Lines of both networks from two lists of equal length."""
    lines = []
    for side in SIDES:
        held = side_of(cell, side).get(key)
        if isinstance(held, Mapping) and len(held.get(x, ())) == len(held.get(y, ())) > 0:
            lines.append({"name": side, "x": list(held[x]), "y": list(held[y])})
    return lines


def _reliability(cell: Cell, key: str) -> list[dict[str, Any]]:
    lines = _pairs(cell, key, "confidence", "accuracy")
    return [chart("Reliability diagram", "mean confidence of a bin", "accuracy", lines, diagonal=True)]


def _risk_coverage(cell: Cell, key: str) -> list[dict[str, Any]]:
    lines = _pairs(cell, key, "coverage", "risk")
    return [chart("Risk and coverage", "share of samples answered, the surest first", "share wrong", lines)]


def _certified(cell: Cell, key: str) -> list[dict[str, Any]]:
    lines = _pairs(cell, key, "radius", "accuracy")
    return [chart("Certified accuracy", "radius, l2", "share right and certified, at least", lines)]


def _severities(cell: Cell, key: str) -> list[dict[str, Any]]:
    """A chart for each figure that was kept by severity."""
    tables = {side: side_of(cell, side).get(key, {}) for side in SIDES}
    names = list(dict.fromkeys(name for table in tables.values() for row in table.values() for name in row))
    made = []
    for name in names:
        lines = [
            {"name": side, "x": [float(severity) for severity in table], "y": [row.get(name) for row in table.values()]}
            for side, table in tables.items()
            if table
        ]
        made.append(chart(f"{title(name)} under corruption", "severity", title(name), lines))
    return made


def _kinds(cell: Cell, key: str) -> list[dict[str, Any]]:
    """The mean over kinds of corruptions at each severity."""
    lines = []
    for side in SIDES:
        told = side_of(cell, side)
        table, severities = told.get(key), told.get("severities")
        if isinstance(table, Mapping) and table and severities:
            columns = zip(*table.values(), strict=True)
            lines.append({"name": side, "x": list(severities), "y": [sum(rates) / len(rates) for rates in columns]})
    return [chart(f"{title(key)} under corruption", "severity", f"{title(key)}, mean over kinds", lines)]


def _layers(cell: Cell, key: str) -> list[dict[str, Any]]:
    """The norm of each layer that can change distances, in the order of the network."""
    lines = []
    for side in SIDES:
        norms = layer_norms(side_of(cell, side))
        if len(norms) > 1:
            told = {"names": [plain(name) for name in norms], "y": [upper for upper, _ in norms.values()]}
            lines.append({"name": side, "x": list(range(1, len(norms) + 1)), **told})
    return (
        [chart("Norm of each layer", "layer, in the order of the network", "l2 to l2, at most", lines)] if lines else []
    )


Shape: TypeAlias = Callable[[Cell, str], list[dict[str, Any]]]
# what metrics keep in their details, by its name there: a further curve is one more here
SHAPES: Final[dict[str, Shape]] = {
    "reliability_diagram": _reliability,
    "risk_coverage": _risk_coverage,
    "certified_accuracy_curve": _certified,
    "by_severity": _severities,
    "error": _kinds,
    "flip_rate": _kinds,
    "layers": _layers,
}


def over_a_parameter(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Charts of values measured at three or more settings of one number, such as epsilon.

    Two settings make no curve: they stand in the tables.
    """
    by_metric: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        if cell.status == "ok":
            by_metric.setdefault(cell.metric, {})[canonical_parameters(cell.params)] = cell
    made = []
    for metric, held in by_metric.items():
        group = list(held.values())
        name = _the_one_number(group)
        if name is None or len(group) < 3:
            continue
        group.sort(key=lambda cell: float(cell.params[name]))
        for value in group[0].values:
            lines = [line for side in SIDES if (line := _over(group, name, value, side))]
            if lines:
                heading = f"{title(value)} by {title(name)}"
                made.append(chart(heading, title(name), title(value), lines) | {"metric": metric})
    return made


def _the_one_number(group: Sequence[Cell]) -> str | None:
    """The only parameter in which cells differ, where it is a number in all of them."""
    names = {key for cell in group for key in cell.params}
    differing = [name for name in sorted(names) if len({repr(cell.params.get(name)) for cell in group}) > 1]
    if len(differing) != 1:
        return None
    values = [cell.params.get(differing[0]) for cell in group]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return differing[0] if numeric else None


def _over(group: Sequence[Cell], name: str, value: str, side: str) -> Line | None:
    told = [(float(cell.params[name]), cell.values[value]) for cell in group if value in cell.values]
    points = [(at, number, _limits(of, side)) for at, of in told if (number := getattr(of, side)) is not None]
    if len(points) < 3:
        return None
    line: Line = {"name": side, "x": [at for at, _, _ in points], "y": [number for _, number, _ in points]}
    limits = [ends for _, _, ends in points]
    if all(None not in ends for ends in limits):
        line |= {"low": [ends[0] for ends in limits], "high": [ends[1] for ends in limits]}
    return line


def _limits(value: ValueResult, side: str) -> tuple[float | None, float | None]:
    return (value.reference_ci if side == "reference" else value.own_ci) or (None, None)

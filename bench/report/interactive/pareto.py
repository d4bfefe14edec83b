"""Harm or gap against a cost: points, and the front of those that no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

COSTS: Final = {"cost.file_bytes": "size", "cost.macs": "MACs", "cost.latency_median": "latency"}
WIDTH, HEIGHT = 640.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 620.0, 16.0, 258.0


class Point(NamedTuple):
    """One network: lower is better in both."""

    row: int
    cost: float
    height: float  # gap, or harm
    low: float | None = None
    high: float | None = None
    limit: bool = False  # only an upper limit is known: it stands there
    unreliable: bool = False  # its robustness may only seem so: never on the front


def front(points: Sequence[Point]) -> list[int]:
    """The places of the points that no other beats: none costs no more and lies lower, the cheapest first.

    >>> front([Point(0, 1.0, 0.9), Point(1, 2.0, 0.2), Point(2, 3.0, 0.5), Point(3, 4.0, 0.0, unreliable=True)])
    [0, 1]
    """
    best, kept = math.inf, []
    for place in sorted(range(len(points)), key=lambda i: (points[i].cost, points[i].height, i)):
        if not points[place].unreliable and points[place].height < best:
            best = points[place].height
            kept.append(place)
    return kept


def fronts(points: Sequence[Point], runs: Sequence[str]) -> list[list[Point]]:
    """The front of each run by itself.

    Args:
        points: of all runs.
        runs: of each row.

    >>> [[point.row for point in front] for front in fronts([Point(0, 1.0, 0.2), Point(1, 2.0, 0.9)], ["a", "b"])]
    [[0], [1]]
    """
    mine = ([point for point in points if runs[point.row] == run] for run in dict.fromkeys(runs))
    return [[points_of_run[place] for place in front(points_of_run)] for points_of_run in mine]


def points_of(group: dict[str, Any], family: int, what: str, cost: str) -> list[Point]:
    """The points of a group of the payload.

    Args:
        group: of the payload.
        family: place of a family in it.
        what: ``gap`` or ``harm``.
        cost: the name of a column of costs.
    """
    costs = next((column for column in group["columns"] if column["name"] == cost), None)
    if costs is None:
        return []
    told = group["families"][family]
    rows = group["rows"]
    if what == "gap":
        held, names, scale = told, ("gap_number", "gap_low", "gap_high"), 1
    else:
        held = {"scale": 1} if told["harm"] is None else group["columns"][told["harm"]]
        names, scale = ("estimate", "estimate_low", "estimate_high"), held["scale"]
    found = []
    for row in range(len(rows["key"])):
        x, (y, low, high) = at(costs, "number", row), (at(held, name, row) for name in names)
        if x is None or y is None or rows["state"][row] is None:
            continue
        doubtful = told["family"] == "adversarial" and bool(rows["unreliable"][row])
        low, high = (None if end is None else end * scale for end in (low, high))
        found.append(Point(row, x, y * scale, low, high, what == "gap" and low is None and high is not None, doubtful))
    return found


def at(held: Mapping[str, Any], name: str, row: int, other: Any = None) -> Any:
    """One row of an array that the payload may have left out; ``other`` where it did, or where the row has nothing."""
    found = held[name][row] if name in held else None
    return other if found is None else found


@dataclass(frozen=True)
class Axis:
    """A straight scale from numbers to positions, from a round number to a round number."""

    least: float
    most: float
    start: float
    end: float

    def at(self, number: float) -> float:
        """The position of a number."""
        share = (number - self.least) / (self.most - self.least)
        return round(self.start + (self.end - self.start) * share, 1)


def ticks(least: float, most: float, about: int = 5) -> list[float]:
    """Round numbers from at most ``least`` to at least ``most``: steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0.0, 1.7)
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    span = max(most - least, abs(most) * 1e-3, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(power * times for times in (1, 2, 5, 10) if span / (power * times) <= about)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(place * step, 12) for place in range(first, max(last, first + 1) + 1)]


@dataclass(frozen=True)
class Tick:
    """A number on an axis."""

    place: float
    text: str


@dataclass(frozen=True)
class Dot:
    """One network as drawn."""

    key: str
    words: str
    x: float
    y: float
    bar: tuple[float, float] | None
    control: bool
    limit: bool
    unreliable: bool
    front: bool


@dataclass(frozen=True)
class Drawing:
    """The plot in positions and words."""

    family: str
    what: str
    cost: str
    caption: str
    words: str
    best: str  # the networks on the front, from the cheapest on
    x_title: str
    y_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]
    fronts: tuple[str, ...]  # of each run a polyline's points: runs are not ranked against each other


def drawing(group: dict[str, Any]) -> Drawing | None:
    """The first plot of a group that has two points or more: gap before harm, family by family; None where none has.

    Without gaps where the runs are of several suites, whose scales differ.
    """
    for what in ("gap", "harm") if group["one_scale"] else ("harm",):
        for family in range(len(group["families"])):
            for cost in COSTS:
                points = points_of(group, family, what, cost)
                if len(points) >= 2:
                    return _drawn(group, family, what, cost, points)
    return None


def _drawn(group: dict[str, Any], family: int, what: str, cost: str, points: Sequence[Point]) -> Drawing:
    rows, told = group["rows"], group["families"][family]
    costs = next(column for column in group["columns"] if column["name"] == cost)
    xs = ticks(min(0.0, *(point.cost for point in points)), max(point.cost for point in points))
    ends = [end for point in points for end in (point.height, point.low, point.high) if end is not None]
    ys = ticks(min(0.0, *ends), _within(max(ends), max(point.height for point in points)))
    across, up = Axis(xs[0], xs[-1], LEFT, RIGHT), Axis(ys[0], ys[-1], BOTTOM, TOP)
    lines = fronts(points, rows["run"])
    kept = [point for line in lines for point in line]
    dots = tuple(
        Dot(
            key=rows["key"][point.row],
            words=_words(group, family, what, costs, point, len(lines) > 1),
            x=across.at(point.cost),
            y=up.at(point.height),
            bar=_bar(point, up, ys[-1]),
            control=rows["control"][point.row],
            limit=point.limit,
            unreliable=point.unreliable,
            front=point in kept,
        )
        for point in points
    )
    name = told["change_title"] if what == "gap" else told["harm_title"]
    x_title = f"{COSTS[cost]} ({costs['unit']})" if costs["unit"] else COSTS[cost]
    y_title = f"{what}: {name}{_unit(group, told, what)}"
    sentence = f"{what.capitalize()} of {told['family']} ({name}) against {COSTS[cost]}"
    best = ", ".join(_named(rows, point.row, len(lines) > 1) for point in kept)
    return Drawing(
        family=told["family"],
        what=what,
        cost=cost,
        caption=sentence,
        words=f"{sentence}: {len(points)} networks; on the front: {best}",
        best=best,
        x_title=x_title,
        y_title=y_title,
        x_ticks=tuple(Tick(across.at(x), short(x)) for x in xs),
        y_ticks=tuple(Tick(up.at(y), short(y)) for y in ys),
        dots=dots,
        fronts=tuple(" ".join(f"{across.at(point.cost)},{up.at(point.height)}" for point in line) for line in lines),
    )


def _named(rows: dict[str, Any], row: int, several: bool) -> str:
    return f"{rows['run'][row]}: {rows['label'][row]}" if several else str(rows["label"][row])


def _unit(group: dict[str, Any], told: dict[str, Any], what: str) -> str:
    unit = "" if what == "gap" or told["harm"] is None else group["columns"][told["harm"]]["unit"]
    return f" ({unit})" if unit else ""


def _within(most: float, highest: float) -> float:
    """Where the axis ends: no interval makes it more than half as long again as the points do."""
    return min(most, highest + 0.5 * abs(highest)) if highest > 0 else most


def _bar(point: Point, up: Axis, top: float) -> tuple[float, float] | None:
    if point.low is None or point.high is None:
        return None
    return up.at(max(point.low, up.least)), up.at(min(point.high, top))


def _words(group: dict[str, Any], family: int, what: str, costs: dict[str, Any], point: Point, several: bool) -> str:
    rows, told, i = group["rows"], group["families"][family], point.row
    if what == "gap":
        parts = at(told, "gap", i), at(told, "gap_interval", i)
    else:
        column = group["columns"][told["harm"]]
        parts = at(column, "harm", i), at(column, "harm_interval", i)
    figure = " ".join(filter(None, parts))
    doubt = f"; potentially unreliable: {rows['unreliable'][i]}" if point.unreliable else ""
    return f"{_named(rows, i, several)}: {what} {figure}, {costs['value'][i]}{doubt}"


def short(number: float) -> str:
    """A tick's text.

    >>> short(0.5), short(20000.0), short(1500000.0)
    ('0.5', '20k', '1.5M')
    """
    for step, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= step:
            return f"{number / (1e3 if name == 'k' else step):g}{name}"
    return f"{number:g}"

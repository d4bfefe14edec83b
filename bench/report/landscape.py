"""The loss in weight space as sentences and figures: lines with their bands, simplexes, and a plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from bench.report.series import Tick
from bench.results import LandscapePath, LandscapePlane, LandscapeResult
from bench.wording import plain, with_interval

WIDTH, HEIGHT = 320.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 10.0, 30.0
SIDE = 240.0  # of a plane's picture at most
HEADING = "The loss in weight space"
NOTE = (
    "mean negative log likelihood of networks between the members, each with BatchNorm statistics of its own weights;"
    " the barrier is the most by which it exceeds the linear interpolation of the ends', with a 95 % interval over"
    " samples that holds at all points looked at together"
)
ALONG = {"line": "on the straight line", "curve": "along the curve", "simplex": "in the simplex"}


@dataclass(frozen=True)
class PathPlot:
    """One line, curve or simplex."""

    title: str
    sentence: str
    axis: str
    line: str  # through the means, in the plot's units; empty for a simplex
    band: str  # around it
    dots: tuple[tuple[float, float, float, float], ...]  # of a simplex: x, y, and both ends of the interval
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Tile:
    """One point of a plane's grid."""

    x: float
    y: float
    shade: float  # 0 to 1
    title: str


@dataclass(frozen=True)
class PlanePlot:
    """The plane through three modes."""

    width: float
    height: float
    tile: tuple[float, float]  # width and height
    tiles: tuple[Tile, ...]
    marks: tuple[tuple[float, float, str], ...]
    trace: str  # of a curve, which lies in the plane
    sentence: str


@dataclass(frozen=True)
class LandscapeText:
    """One reference."""

    title: str
    place: str
    sentence: str  # the barriers
    reason: str  # why there is nothing, or no plane
    paths: tuple[PathPlot, ...]
    plane: PlanePlot | None


def landscape_texts(found: Sequence[LandscapeResult]) -> list[LandscapeText]:
    """Every landscape, in the suite's order."""
    return [_text(item) for item in found]


def barrier_words(path: LandscapePath) -> str:
    """A barrier in words, without where.

    >>> path = LandscapePath(kind="line", ends=[], points=[], barrier=1.9, barrier_ci=(1.71, 2.13), barrier_at="0.5")
    >>> barrier_words(path)
    '1.90 [1.71, 2.13]'
    """
    if path.barrier_ci == (0.0, 0.0):  # every other point surely lies below
        return "0 [0, 0]"
    return " ".join(part for part in with_interval(path.barrier, path.barrier_ci) if part)


def sentence(item: LandscapeResult) -> str:
    """All barriers of a landscape.

    >>> path = LandscapePath(kind="curve", ends=["a", "b"], points=[], barrier=0.5, barrier_at="0.5")
    >>> sentence(LandscapeResult(name="c", paths=[path, path.model_copy(update={"kind": "line", "barrier": 1.9})]))
    'barrier 0.50 nats along the curve, 1.9 on the straight line'
    """
    several = len({path.kind for path in item.paths}) < len(item.paths)
    parts = []
    for number, path in enumerate(item.paths):
        between = f" between {plain(' and '.join(path.ends))}" if several else ""
        unit = " nats" if number == 0 else ""
        parts.append(f"{barrier_words(path)}{unit} {ALONG[path.kind]}{between}")
    return f"barrier {', '.join(parts)}" if parts else ""


def _text(item: LandscapeResult) -> LandscapeText:
    place = [plain(item.method)] if item.method else []
    place += [] if item.replicate is None else [f"training {item.replicate + 1}"]
    place += [f"{item.samples} samples"]
    reason = f"{item.status}: {plain(item.reason)}" if item.status != "ok" else ""
    if not reason and item.plane is None and item.plane_reason:
        reason = f"no plane: {plain(item.plane_reason)}"
    shown = [end for path in item.paths for point in path.points for end in (point.loss, *(point.loss_ci or ()))]
    paths = tuple(_plot(path, _height(shown)) for path in item.paths if path.points)
    plane = None if item.plane is None else _plane(item.plane, item.paths)
    return LandscapeText(plain(item.name), ", ".join(place), sentence(item), reason, paths, plane)


Height = tuple[Callable[[float], float], tuple[Tick, ...]]


def _height(figures: Sequence[float]) -> Height:
    """From losses to heights, the same for all plots of one reference, logarithmic where they are above 0."""
    if not figures:
        return (lambda figure: TOP), ()
    low, high = min(figures), max(figures)
    seen: Callable[[float], float] = log if low > 0 else float
    span = seen(high) - seen(low)

    def up(figure: float) -> float:
        share = 0.5 if span == 0 else (seen(figure) - seen(low)) / span
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)

    middle = (low * high) ** 0.5 if low > 0 else (low + high) / 2
    ticks = tuple(Tick(up(figure), f"{figure:.2g}") for figure in dict.fromkeys((low, middle, high)))
    return up, ticks


def _plot(path: LandscapePath, height: Height) -> PathPlot:
    up, ticks = height
    across = [_across(number, len(path.points)) for number in range(len(path.points))]
    limits = [point.loss_ci or (point.loss, point.loss) for point in path.points]
    words = f"barrier {barrier_words(path)} nats at {plain(path.barrier_at)}"
    dots: tuple[tuple[float, float, float, float], ...] = ()
    if path.kind == "simplex":
        dots = tuple(
            (x, up(point.loss), up(low), up(high))
            for x, point, (low, high) in zip(across, path.points, limits, strict=True)
        )
        title, line, band = f"simplex of {len(path.ends)} vertices", "", ""
        axis = "vertices, middles of edges, centre, places drawn"
        x_ticks: tuple[Tick, ...] = ()
    else:
        line = " ".join(f"{x:g},{up(point.loss):g}" for x, point in zip(across, path.points, strict=True))
        lower = [f"{x:g},{up(low):g}" for x, (low, _) in zip(across, limits, strict=True)]
        upper = [f"{x:g},{up(high):g}" for x, (_, high) in zip(across, limits, strict=True)]
        band = " ".join([*lower, *reversed(upper)])
        named = {"line": "straight line", "curve": "curve"}[path.kind]
        title, axis = f"{named}, {plain(' to '.join(path.ends))}", "parameter"
        places = (0, len(across) // 2, len(across) - 1)
        x_ticks = tuple(Tick(across[place], plain(path.points[place].name)) for place in places)
    return PathPlot(title, words, axis, line, band, dots, x_ticks, ticks)


def _across(number: int, count: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (0.5 if count < 2 else number / (count - 1)), 1)


def _plane(plane: LandscapePlane, paths: Sequence[LandscapePath]) -> PlanePlot:
    wide, high = plane.x[-1] - plane.x[0], plane.y[-1] - plane.y[0]
    scale = SIDE / max(wide, high)  # one for both axes: distances are those of weights
    columns, rows = len(plane.x), len(plane.y)
    tile = round(wide * scale / max(1, columns - 1), 2), round(high * scale / max(1, rows - 1), 2)
    width, height = round(tile[0] * columns, 1), round(tile[1] * rows, 1)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round((x - plane.x[0]) * scale + tile[0] / 2, 1),
            round(height - (y - plane.y[0]) * scale - tile[1] / 2, 1),
        )

    losses = [loss for row in plane.loss for loss in row]
    least, most = min(losses), max(losses)
    seen: Callable[[float], float] = log if least > 0 else float
    span = seen(most) - seen(least)
    tiles = []
    for y, row, right in zip(plane.y, plane.loss, plane.accuracy, strict=True):
        for x, loss, accuracy in zip(plane.x, row, right, strict=True):
            left, top = place(x, y)
            shade = round((seen(loss) - seen(least)) / span, 2) if span else 0.0
            title = f"{loss:.3g} nats, {100 * accuracy:.1f} % right"
            tiles.append(Tile(round(left - tile[0] / 2, 2), round(top - tile[1] / 2, 2), shade, title))
    marks = tuple((*place(*point), plain(name)) for point, name in zip(plane.coordinates, plane.modes, strict=True))
    corners = np.array(plane.coordinates)
    curves = [np.array([point.weights for point in path.points]) @ corners for path in paths if path.kind == "curve"]
    trace = " ".join("{:g},{:g}".format(*place(*point)) for curve in curves for point in curve.tolist())
    words = f"plane through {plain(', '.join(plane.modes))}: from {least:.2g} nats (light) to {most:.2g} (dark)"
    return PlanePlot(width, height, tile, tuple(tiles), marks, trace, f"{words}, logarithmic" if least > 0 else words)

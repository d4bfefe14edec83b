"""Values along a series of variants as plots and sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log

from bench.results import SeriesResult
from bench.wording import fixed, plain, significant, title

WIDTH, HEIGHT = 320.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 10.0, 30.0
MEANINGS = {"ratio": "variant / reference", "harm": "harm, + is worse", "change": "change"}
HEADING = "With the strength of compression"
NOTE = (
    "rank correlation (Spearman's) of a figure with the strength, its mean over independent trainings of the whole"
    " chain with a 95 % interval over five or more: 1 rises all the way, -1 falls all the way"
)


@dataclass(frozen=True)
class Tick:
    """A place on an axis and what stands there."""

    place: float
    text: str


@dataclass(frozen=True)
class SeriesText:
    """One plot with its sentence."""

    title: str
    place: str  # series, target and metric
    axis: str
    meaning: str
    sentence: str
    dots: tuple[tuple[float, float], ...]  # x, y in the plot's units
    line: str  # through the means
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    rest: float | None  # where nothing changes


def series_texts(found: Sequence[SeriesResult]) -> list[SeriesText]:
    """A plot of every series that has a figure, in the suite's order."""
    return [_text(item) for item in found if any(known(point.figures) for point in item.points)]


def known(figures: Sequence[float | None]) -> list[float]:
    """The figures that there are."""
    return [figure for figure in figures if figure is not None]


def sentence(item: SeriesResult) -> str:
    """The rank correlation in words, or why there is none.

    >>> from bench.results import SeriesPoint
    >>> point = SeriesPoint(variant="a", strength=1, figures=[1.0])
    >>> item = SeriesResult(
    ...     name="pruned", target="torch", metric="m", value="v", meaning="ratio", points=[point],
    ...     rank_correlation=-0.8, rank_ci=(-1.0, -0.52), each=[-0.8],
    ... )
    >>> sentence(item)
    'rank correlation -0.80 [-1.00, -0.52]'
    """
    if item.rank_correlation is None:
        return f"no rank correlation: {plain(item.reason)}"
    ends = "" if item.rank_ci is None else f" [{fixed(item.rank_ci[0], 2)}, {fixed(item.rank_ci[1], 2)}]"
    why = f" ({plain(item.reason)})" if item.reason else ""
    return f"rank correlation {fixed(item.rank_correlation, 2)}{ends}{why}"


def _text(item: SeriesResult) -> SeriesText:
    figures = [value for point in item.points for value in known(point.figures)]
    logarithmic = item.meaning == "ratio" and min(figures) > 0
    rest = {"ratio": 1.0, "harm": 0.0}.get(item.meaning)
    strengths = [point.strength for point in item.points]
    across = _scale(strengths, LEFT, WIDTH - RIGHT)
    shown = [_seen(value, logarithmic) for value in (*figures, *([] if rest is None else [rest]))]
    up = _scale(shown, HEIGHT - BOTTOM, TOP)
    dots = [
        (across(point.strength), up(_seen(value, logarithmic)))
        for point in item.points
        for value in known(point.figures)
    ]
    means = [(point.strength, [_seen(v, logarithmic) for v in known(point.figures)]) for point in item.points]
    line = [f"{across(x):g},{up(sum(values) / len(values)):g}" for x, values in means if values]
    heights = [*([] if rest is None else [_seen(rest, logarithmic)]), min(shown), max(shown)]
    return SeriesText(
        title=title(item.value),
        place=f"{plain(item.name)}, {plain(item.target)}, {plain(item.metric)}",
        axis=plain(item.axis) or "strength",
        meaning=MEANINGS[item.meaning],
        sentence=sentence(item),
        dots=tuple((round(x, 1), round(y, 1)) for x, y in dots),
        line=" ".join(line),
        x_ticks=_apart([Tick(round(across(x), 1), f"{x:g}") for x in (strengths[0], *reversed(strengths))], 30.0),
        y_ticks=_apart(
            [Tick(round(up(height), 1), significant(exp(height) if logarithmic else height, 2)) for height in heights],
            12.0,
        ),
        rest=None if rest is None else round(up(_seen(rest, logarithmic)), 1),
    )


def _apart(ticks: Sequence[Tick], least: float) -> tuple[Tick, ...]:
    """The ticks that do not stand on one before them."""
    kept: list[Tick] = []
    for tick in ticks:
        if all(abs(tick.place - other.place) >= least for other in kept):
            kept.append(tick)
    return tuple(kept)


def _seen(value: float, logarithmic: bool) -> float:
    return log(value) if logarithmic else value


def _scale(figures: Sequence[float], first: float, last: float) -> Callable[[float], float]:
    """From figures to places, linear; a constant lies in the middle."""
    low, high = min(figures), max(figures)
    return lambda figure: first + (0.5 if high == low else (figure - low) / (high - low)) * (last - first)

"""The stages of a variant in words and positions: the texts that terminal and HTML share."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.figures import SAME, Figure, estimate, figure_of
from bench.report.strip import LEFT, RIGHT, Span
from bench.report.waterfall import Apart, Bar, MissingStages, Quantity, StageFigure, Stages, StageTable, Waterfall
from bench.wording import is_proportion, parameters_in_words, plain, scaled, title, with_interval

NO_FIGURE = "no figure, and no reason was given"


@dataclass(frozen=True)
class BarText:
    """One stage: its figures, and where its bar lies in per cent of the width."""

    stage: str
    target: str
    added: Figure
    total: Figure
    span: Span | None
    interval: Span | None
    back: bool
    largest: bool


@dataclass(frozen=True)
class WaterfallText:
    """One value over all stages; ``words`` say the same for those who cannot see it."""

    title: str
    harm: bool
    zero: float  # where 0 lies, in per cent of the width
    bars: tuple[BarText, ...]
    words: str


@dataclass(frozen=True)
class StageTableText:
    """Every value of one metric at every stage."""

    metric: str
    stages: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Figure, ...]], ...]


@dataclass(frozen=True)
class StagesText:
    """All that a report shows of a variant's stages, in words."""

    falls: tuple[WaterfallText, ...]
    tables: tuple[StageTableText, ...]
    missing: tuple[str, ...]


def stages_text(stages: Stages) -> StagesText:
    """The stages of a variant in words."""
    return StagesText(
        falls=tuple(_waterfall(fall) for fall in stages.falls),
        tables=tuple(_table(table) for table in stages.tables),
        missing=tuple(_missing(item) for item in stages.missing),
    )


def stage_figure(figure: StageFigure) -> Figure:
    """One figure of a stage as text; what a stage adds is signed, of proportions in points.

    >>> from bench.results import ValueResult
    >>> change = ValueResult(kind="change", unit="proportion")
    >>> str(stage_figure(StageFigure(Quantity.ADDED, -0.05, -0.08, -0.02, value=change)))
    '-5.0 points [-8.0, -2.0]'
    """
    value, number = figure.value, figure.estimate
    if figure.quantity is Quantity.START:
        return Figure("0", sort=0.0)
    if value is None:
        return Figure(reason=plain(figure.reason) or NO_FIGURE)
    if figure.quantity is Quantity.OWN:
        return figure_of(value, "variant")
    if figure.quantity is Quantity.TOTAL or number is None:
        return estimate(value)
    if figure.same:
        return Figure(SAME, sort=number)
    factor, unit = (100.0, "points") if is_proportion(value) else (1.0, plain(value.unit))
    limits = scaled((figure.low, figure.high), factor)
    text, interval = with_interval(number * factor, limits, signed=True, suffix=f" {unit}" if unit else "")
    return Figure(text, interval, reason=plain(figure.reason), sort=number)


def _waterfall(fall: Waterfall) -> WaterfallText:
    width = fall.greatest - fall.least

    def position(number: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * ((number - fall.least) / width if width > 0 else 0.0), 2)

    def drawn(bar: Bar) -> BarText:
        span = interval = None
        if bar.start is not None and bar.end is not None:
            span = Span(*sorted((position(bar.start), position(bar.end))))
            interval = None if bar.interval is None else Span(position(bar.interval[0]), position(bar.interval[1]))
        added, total = stage_figure(bar.added), stage_figure(bar.total)
        return BarText(plain(bar.stage), plain(bar.target), added, total, span, interval, bar.back, bar.largest)

    bars = tuple(drawn(bar) for bar in fall.bars)
    name = f"{title(fall.value)}, {_name(fall.metric, fall.apart)}"
    parts = [f"{bar.stage} {bar.added}{', more than any other' if bar.largest else ''}" for bar in bars[1:]]
    return WaterfallText(name, fall.harm, position(0.0), bars, f"{name}: {'; '.join(parts)}")


def _table(table: StageTable) -> StageTableText:
    rows = tuple((title(name), tuple(stage_figure(figure) for figure in figures)) for name, figures in table.rows)
    return StageTableText(_name(table.metric, table.apart), tuple(plain(name) for name in table.stages), rows)


def _missing(item: MissingStages) -> str:
    where = ", ".join(plain(name) for name in item.stages)
    return f"{_name(item.metric, item.apart)} at {where}: {item.status}: {plain(item.reason)}"


def _name(metric: str, apart: Apart) -> str:
    words = parameters_in_words(apart)
    return f"{plain(metric)} ({words})" if words else plain(metric)

"""Where a variant's divergence comes in: what each stage adds, as bars from one total to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.cell_id import canonical_parameters
from bench.report.figures import SAME, Figure, estimate, figure_of
from bench.report.strip import LEFT, RIGHT, Span
from bench.results import Cell, StageMetric, StageResult, StageValue, ValueResult, VariantResult
from bench.wording import is_proportion, plain, scaled, title, told_apart, with_interval

Series = Sequence[StageValue | None]  # one value at every stage; None where it was not measured


@dataclass(frozen=True)
class Bar:
    """One stage: from the total before it to its own."""

    stage: str
    target: str
    added: Figure
    total: Figure
    span: Span | None = None
    interval: Span | None = None  # of the total
    back: bool = False  # it led back towards the reference, or repaired a harm
    largest: bool = False


@dataclass(frozen=True)
class Waterfall:
    """One value over all stages; ``words`` say the same for those who cannot see it."""

    title: str
    harm: bool
    zero: float
    bars: tuple[Bar, ...]
    words: str


@dataclass(frozen=True)
class StageTable:
    """Every value of one metric: what each stage adds, or its figure where nothing adds up."""

    metric: str
    stages: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Figure, ...]], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Stages:
    """All that a report shows of a variant's stages."""

    falls: tuple[Waterfall, ...]
    tables: tuple[StageTable, ...]
    missing: tuple[str, ...]


def added(value: StageValue | None, reason: str = "") -> Figure:
    """What a stage adds, signed; of proportions in points.

    >>> change = ValueResult(kind="change", unit="proportion", estimate=-0.05, ci=(-0.08, -0.02))
    >>> str(added(StageValue(cumulative=change, added=change)))
    '-5.0 points [-8.0, -2.0]'
    """
    if value is None or value.added is None or value.added.estimate is None:
        why = "" if value is None or value.added is None else value.added.reason
        return Figure(reason=plain(reason or why) or "no figure, and no reason was given")
    shown, number = value.added, value.added.estimate
    if shown.numerical_floor is not None and abs(number) <= shown.numerical_floor and not is_proportion(shown):
        return Figure(SAME, sort=number)
    factor, unit = (100.0, "points") if is_proportion(shown) else (1.0, plain(shown.unit))
    suffix = f" {unit}" if unit else ""
    text, interval = with_interval(number * factor, scaled(shown.ci, factor), signed=True, suffix=suffix)
    return Figure(text, interval, reason=plain(shown.reason), sort=number)


def stages_shown(variant: VariantResult, cells: Iterable[Cell] = ()) -> Stages | None:
    """Waterfalls of the families' headlines and of gated values, and every figure in tables; None without stages."""
    if not variant.stages:
        return None
    uses = _uses(variant.stages)
    apart = told_apart((item.metric, item.params) for item in variant.stages[0].metrics)
    wanted = _wanted(variant, cells)
    falls, tables, missing = [], [], []
    for at, use in enumerate(uses):
        words = apart[use[0].metric, canonical_parameters(use[0].params)]
        name = f"{plain(use[0].metric)} ({words})" if words else plain(use[0].metric)
        names = list(dict.fromkeys(value for item in use for value in item.values))
        for value in names:
            series = [item.values.get(value) for item in use]
            if (at, value) in wanted and any(item and item.added for item in series):
                falls.append(waterfall(f"{title(value)}, {name}", variant.stages, series, use))
        table = _table(name, variant.stages, use, names)
        tables.append(table)
        missing += [f"{name} {line}" for line in table.missing]
    return Stages(tuple(falls), tuple(tables), tuple(missing))


def waterfall(name: str, stages: Sequence[StageResult], series: Series, use: Sequence[StageMetric]) -> Waterfall:
    """The drawing of one value: bars between running totals, on one scale that holds 0."""
    totals = [_total(item) for item in series]
    limits = [_limits(item) for item in series]
    every = [0.0, *(item for item in totals if item is not None), *(end for pair in limits for end in pair)]
    low, high = min(every), max(every)

    def position(number: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * ((number - low) / (high - low) if high > low else 0.0), 2)

    bars: list[Bar] = []
    before = 0.0
    for stage, item, metric, total, ends in zip(stages, series, use, totals, limits, strict=True):
        bar = Bar(plain(stage.name), _target(stage), added(item, metric.reason), _own(item, metric.reason))
        if item is not None and item.added is not None and total is not None:
            start, end = sorted((position(before), position(total)))
            interval = Span(position(ends[0]), position(ends[1])) if ends else None
            bar = Bar(
                bar.stage, bar.target, bar.added, bar.total, Span(start, end), interval, total < before, item.largest
            )
        before = before if total is None else total
        bars.append(bar)
    harm = any(item is not None and item.cumulative.kind in ("quality", "pair") for item in series)
    parts = [f"{bar.stage} {bar.added}{', more than any other' if bar.largest else ''}" for bar in bars[1:]]
    return Waterfall(name, harm, position(0.0), tuple(bars), f"{name}: {'; '.join(parts)}")


def _uses(stages: Sequence[StageResult]) -> list[list[StageMetric]]:
    """Metric by metric, its results at every stage."""
    return [list(items) for items in zip(*(stage.metrics for stage in stages), strict=True)]


def _wanted(variant: VariantResult, cells: Iterable[Cell]) -> set[tuple[int, str]]:
    """Which values stand for the rest: (index of the metric's use, name of the value)."""
    uses = [(item.metric, canonical_parameters(item.params)) for item in variant.stages[0].metrics]
    found: set[tuple[int, str]] = set()
    for family in variant.families.values():
        if family.headline is not None:
            use = (family.headline.metric, canonical_parameters(family.headline.params))
            found |= {(uses.index(use), family.headline.value)} if use in uses else set()
    for cell in cells:
        use = (cell.metric, canonical_parameters(cell.params))
        mine = (cell.variant, cell.target) == (variant.name, variant.target)
        if mine and use in uses:
            found |= {(uses.index(use), name) for name, value in cell.values.items() if value.gates}
    return found


def _table(name: str, stages: Sequence[StageResult], use: Sequence[StageMetric], names: Sequence[str]) -> StageTable:
    rows = []
    for value in names:
        series = [item.values.get(value) for item in use]
        adds = any(item is not None and item.added is not None for item in series)
        figures = [
            added(item, metric.reason) if adds and index else _own(item, metric.reason)
            for index, (item, metric) in enumerate(zip(series, use, strict=True))
        ]
        rows.append((title(value), tuple(figures)))
    reasons: dict[str, list[str]] = {}
    for stage, metric in zip(stages, use, strict=True):
        if metric.status != "ok":
            reasons.setdefault(f"{metric.status}: {plain(metric.reason)}", []).append(plain(stage.name))
    missing = tuple(f"at {', '.join(where)}: {reason}" for reason, where in reasons.items())
    return StageTable(name, tuple(plain(stage.name) for stage in stages), tuple(rows), missing)


def _own(item: StageValue | None, reason: str) -> Figure:
    """The running total; the network's own figure where it is a reference or a cost."""
    if item is None:
        return Figure(reason=plain(reason) or "no figure, and no reason was given")
    value: ValueResult = item.cumulative
    if value.kind in ("cost", "bound") or (not item.since and value.kind != "change"):
        return figure_of(value, "variant")
    return Figure("0", sort=0.0) if not item.since else estimate(value)


def _total(item: StageValue | None) -> float | None:
    if item is None or (item.added is None and item.since):
        return None
    return item.cumulative.estimate if item.since else 0.0


def _limits(item: StageValue | None) -> tuple[float, ...]:
    """Both ends of the total's interval, or nothing."""
    ends = None if item is None or item.added is None else item.cumulative.ci
    return () if ends is None or ends[0] is None or ends[1] is None else (ends[0], ends[1])


def _target(stage: StageResult) -> str:
    return plain(stage.target.get("name", ""))

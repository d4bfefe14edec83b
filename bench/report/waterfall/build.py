"""The stages of the results arranged for reading: what each adds, and the totals before and after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from bench.cell_id import canonical_parameters
from bench.report.waterfall.model import (
    Apart,
    Bar,
    MissingStages,
    Quantity,
    StageFigure,
    Stages,
    StageTable,
    Waterfall,
)
from bench.results import Cell, StageMetric, StageResult, StageValue, VariantResult
from bench.wording import differing_parameters, is_proportion

Series = Sequence[StageValue | None]  # one value at every stage; None where it was not measured


def stages_of(variant: VariantResult, cells: Iterable[Cell] = ()) -> Stages | None:
    """Waterfalls of the families' headlines and of gated values, and every figure in tables; None without stages.

    Args:
        variant: of a run.
        cells: of that run; their gates say which values are drawn.
    """
    if not variant.stages:
        return None
    differing = differing_parameters((item.metric, item.params) for item in variant.stages[0].metrics)
    wanted = _wanted(variant, cells)
    falls, tables, missing = [], [], []
    for index, use in enumerate(_uses(variant.stages)):
        metric, parameters = use[0].metric, use[0].params
        keys = differing[metric, canonical_parameters(parameters)]
        apart = tuple((key, parameters.get(key)) for key in keys)
        names = list(dict.fromkeys(name for item in use for name in item.values))
        for name in names:
            series = [item.values.get(name) for item in use]
            if (index, name) in wanted and any(item and item.added for item in series):
                falls.append(_waterfall(metric, apart, name, variant.stages, series, use))
        tables.append(_table(metric, apart, names, variant.stages, use))
        missing += _missing(metric, apart, variant.stages, use)
    return Stages(tuple(falls), tuple(tables), tuple(missing))


def added_figure(item: StageValue | None, reason: str = "") -> StageFigure:
    """The figure of what a stage adds, signed; ``reason`` is that of the metric.

    >>> from bench.results import ValueResult
    >>> change = ValueResult(kind="change", unit="proportion", estimate=-0.05, ci=(-0.08, -0.02))
    >>> figure = added_figure(StageValue(cumulative=change, added=change))
    >>> figure.quantity.value, figure.estimate, figure.low
    ('added', -0.05, -0.08)
    """
    value = None if item is None else item.added
    if value is None or value.estimate is None:
        return StageFigure(Quantity.MISSING, reason=reason or ("" if value is None else value.reason))
    low, high = value.ci or (None, None)
    floor = value.numerical_floor
    same = floor is not None and abs(value.estimate) <= floor and not is_proportion(value)
    return StageFigure(Quantity.ADDED, value.estimate, low, high, same, value.reason, value)


def total_figure(item: StageValue | None, reason: str = "") -> StageFigure:
    """The running total; the network's own figure where it is a reference or a cost."""
    if item is None:
        return StageFigure(Quantity.MISSING, reason=reason)
    value = item.cumulative
    if value.kind in ("cost", "bound") or (not item.since and value.kind != "change"):
        return StageFigure(Quantity.OWN, value.variant, reason=value.reason, value=value)
    if not item.since:
        return StageFigure(Quantity.START, 0.0)
    low, high = value.ci or (None, None)
    return StageFigure(Quantity.TOTAL, value.estimate, low, high, reason=value.reason, value=value)


def _waterfall(
    metric: str, apart: Apart, name: str, stages: Sequence[StageResult], series: Series, use: Sequence[StageMetric]
) -> Waterfall:
    """Bars between running totals, on one scale that holds 0."""
    totals = [_total(item) for item in series]
    intervals = [_interval(item) for item in series]
    every = [0.0, *(total for total in totals if total is not None), *(end for pair in intervals for end in pair or ())]
    bars: list[Bar] = []
    before = 0.0
    for stage, item, of, total, interval in zip(stages, series, use, totals, intervals, strict=True):
        bar = Bar(
            stage.name, stage.target.get("name", ""), added_figure(item, of.reason), total_figure(item, of.reason)
        )
        if item is not None and item.added is not None and total is not None:
            bar = replace(bar, start=before, end=total, interval=interval, largest=item.largest)
        before = before if total is None else total
        bars.append(bar)
    harm = any(item is not None and item.cumulative.kind in ("quality", "pair") for item in series)
    return Waterfall(metric, apart, name, harm, min(every), max(every), tuple(bars))


def _uses(stages: Sequence[StageResult]) -> list[list[StageMetric]]:
    """Metric by metric, its results at every stage."""
    return [list(items) for items in zip(*(stage.metrics for stage in stages), strict=True)]


def _wanted(variant: VariantResult, cells: Iterable[Cell]) -> set[tuple[int, str]]:
    """The values that stand for the rest: (index of the metric's use, name of the value)."""
    uses = [(item.metric, canonical_parameters(item.params)) for item in variant.stages[0].metrics]
    wanted: set[tuple[int, str]] = set()
    for family in variant.families.values():
        if family.headline is not None:
            use = (family.headline.metric, canonical_parameters(family.headline.params))
            wanted |= {(uses.index(use), family.headline.value)} if use in uses else set()
    for cell in cells:
        use = (cell.metric, canonical_parameters(cell.params))
        mine = (cell.variant, cell.target) == (variant.name, variant.target)
        if mine and use in uses:
            wanted |= {(uses.index(use), name) for name, value in cell.values.items() if value.gates}
    return wanted


def _table(
    metric: str, apart: Apart, names: Sequence[str], stages: Sequence[StageResult], use: Sequence[StageMetric]
) -> StageTable:
    rows = []
    for name in names:
        series = [item.values.get(name) for item in use]
        adds = any(item is not None and item.added is not None for item in series)
        figures = [
            added_figure(item, of.reason) if adds and index else total_figure(item, of.reason)
            for index, (item, of) in enumerate(zip(series, use, strict=True))
        ]
        rows.append((name, tuple(figures)))
    return StageTable(metric, apart, tuple(stage.name for stage in stages), tuple(rows))


def _missing(
    metric: str, apart: Apart, stages: Sequence[StageResult], use: Sequence[StageMetric]
) -> list[MissingStages]:
    reasons: dict[tuple[Literal["skipped", "error"], str], list[str]] = {}
    for stage, of in zip(stages, use, strict=True):
        if of.status != "ok":
            reasons.setdefault((of.status, of.reason), []).append(stage.name)
    return [MissingStages(metric, apart, tuple(names), status, reason) for (status, reason), names in reasons.items()]


def _total(item: StageValue | None) -> float | None:
    if item is None or (item.added is None and item.since):
        return None
    return item.cumulative.estimate if item.since else 0.0


def _interval(item: StageValue | None) -> tuple[float, float] | None:
    """Both ends of the total's interval, or nothing."""
    ends = None if item is None or item.added is None else item.cumulative.ci
    return None if ends is None or ends[0] is None or ends[1] is None else (ends[0], ends[1])

"""A variant's families: the headline's gap and the simultaneous alarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.engine.inline import InlineEngine, Measured
from bench.families import FAMILIES, Family
from bench.metrics.values import Change
from bench.results import FamilyResult, ValueReference
from bench.stats.alarm import family_alarm
from bench.stats.gap import Gap
from bench.suite.plan import STATISTICS_VERSION, PlannedCell


def reference_to(planned: PlannedCell, value: str) -> ValueReference:
    """The reference to one value of a cell's metric."""
    return ValueReference(metric=planned.use.metric.name, params=planned.use.metric.parameters(), value=value)


def headline(family: Family, cells: Sequence[tuple[PlannedCell, Measured]]) -> tuple[str, FamilyResult]:
    """The first declared use of the family's headline metric: the first of those that can be it which is used."""
    used = {planned.use.metric.name for planned, _ in cells}
    wanted = next((name for name in FAMILIES[family].headlines if name in used), "")
    for planned, measured in cells:
        name = planned.use.metric.headline
        if measured.cell.metric == wanted and name is not None:
            value_reference = reference_to(planned, name)
            value = measured.cell.values.get(name)
            if value is None:
                return name, FamilyResult(headline=value_reference, reason=measured.cell.reason or "not measured")
            return name, FamilyResult(headline=value_reference, gap=value.gap, gap_ci=value.gap_ci, reason=value.reason)
    return "", FamilyResult(reason="the suite does not use the family's headline metric")


def family_result(engine: InlineEngine, family: Family, cells: Sequence[tuple[PlannedCell, Measured]]) -> FamilyResult:
    """Headline and alarm of one family of one variant on one target; the alarm is stored under its cells' keys."""
    _, result = headline(family, cells)
    changes = [
        (planned, measured)
        for planned, measured in cells
        if measured.cell.status == "ok" and any(isinstance(value, Change) for value in planned.use.metric.values)
    ]
    if not changes:
        return result
    if any(measured.cell.replicate is None for _, measured in changes):
        result.reason = result.reason or "the alarm is judged replicate by replicate"
        return result
    parts = {"statistics": STATISTICS_VERSION, "family": [planned.key for planned, _ in changes]}
    measured_cells = [measured for _, measured in changes]

    def read(content: dict[str, Any]) -> tuple[float | None, ValueReference | None]:
        alarm, source = content["alarm"], content["place"]
        if source is None:
            return None, None
        index, value = source
        return float(alarm), reference_to(changes[index][0], value)

    told, _ = engine.across("families", parts, measured_cells, lambda: _alarm(engine, changes), read)
    result.alarm, result.alarm_value = told
    return result


def _alarm(engine: InlineEngine, changes: Sequence[tuple[PlannedCell, Measured]]) -> dict[str, Any]:
    """The largest simultaneous lower limit over every gap of the family."""
    gaps: list[Gap] = []
    sources: list[tuple[int, str]] = []
    for index, (planned, measured) in enumerate(changes):
        derived_values = measured.derived or engine.derive(planned).derived
        alarming = {value.name for value in planned.use.metric.values if isinstance(value, Change) and value.alarm}
        for name, derived in sorted(derived_values.items()):
            if derived.gap is not None and name in alarming:
                gaps.append(derived.gap)
                sources.append((index, name))
    alarm = family_alarm(gaps)
    if alarm.value is None or alarm.index is None:
        return {"alarm": None, "place": None}
    return {"alarm": alarm.value, "place": sources[alarm.index]}

"""The results arranged for reading: nothing is computed anew, nothing missing is left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from bench.cell_id import canonical_parameters
from bench.families import FAMILIES, in_order
from bench.report.leaderboard.marks import mark_of, state_of, within_arithmetic
from bench.report.leaderboard.missing import missing
from bench.report.leaderboard.model import Column, CostEntry, GapEntry, HarmEntry, Leaderboard, ReferenceRow, Row
from bench.report.leaderboard.ratios import ratio_groups
from bench.results import Cell, FamilyResult, Results, ValueReference, ValueResult, VariantResult
from bench.wording import differing_parameters

SIZES = ("file_bytes", "bytes", "size", "size_bytes")
BYTES = ("bytes", "byte", "B")
LATENCIES = ("latency_median", "latency_p50", "latency_median_ms", "latency_p50_ms", "latency")
MILLISECONDS = ("ms",)


def leaderboard(results: Results) -> Leaderboard:
    """Arrange a run for reading; nothing is computed anew, nothing missing is left out."""
    columns, families = harm_columns(results.cells), _families(results)
    often = Counter((variant.name, variant.target) for variant in results.variants)
    rows = tuple(
        _row(variant, results.cells, columns, families, often[variant.name, variant.target] > 1)
        for variant in results.variants
    )
    return Leaderboard(
        suite=results.suite.name,
        state=state_of(results.verdict),
        because=results.verdict.because,
        gated=any(value.gates for cell in results.cells for value in cell.values.values()),
        columns=columns,
        families=families,
        references=_references(results.cells, columns),
        rows=rows,
        missing=missing(rows),
        yardsticks=results.reference.yardsticks,
        yardstick_kind=results.reference.yardstick_kind,
        warnings=() if results.run is None else tuple(results.run.warnings),
        ratios=ratio_groups(results),
    )


def harm_columns(cells: Sequence[Cell]) -> tuple[Column, ...]:
    """Every value that has a harm: gated ones first, then those with an interval, each in order of appearance."""
    differing = differing_parameters((cell.metric, cell.params) for cell in cells)
    parameters = {(cell.metric, canonical_parameters(cell.params)): cell.params for cell in cells}
    harms: dict[tuple[str, str, str], list[ValueResult]] = defaultdict(list)
    for cell in cells:
        for name, value in cell.values.items():
            if value.kind in ("quality", "pair"):
                harms[cell.metric, canonical_parameters(cell.params), name].append(value)
    columns = []
    for (metric, text, name), values in harms.items():
        given = parameters[metric, text]
        apart = tuple((key, given.get(key)) for key in differing[metric, text])
        gated, sure = any(value.gates for value in values), any(value.ci is not None for value in values)
        like = next((value for value in values if value.estimate is not None), None)
        columns.append(Column(metric, text, name, apart, gated, sure, like))
    columns.sort(key=lambda column: (not column.gated, not column.interval))
    return tuple(columns)


def _families(results: Results) -> tuple[str, ...]:
    """Families in order; one without gaps, such as cost, only where it has a headline."""
    families = {name: family for variant in results.variants for name, family in variant.families.items()}
    return tuple(n for n in in_order(set(families)) if n not in FAMILIES or FAMILIES[n].gaps or families[n].headline)


def _row(
    variant: VariantResult, cells: Sequence[Cell], columns: Sequence[Column], families: Sequence[str], several: bool
) -> Row:
    key = (variant.name, variant.target, variant.replicate)
    mine = tuple(cell for cell in cells if (cell.variant, cell.target, cell.replicate) == key)
    return Row(
        variant=variant.name,
        target=variant.target,
        replicate=variant.replicate,
        several=several,
        state=state_of(variant.verdict),
        because=variant.verdict.because,
        steps=tuple(variant.steps),
        harms=tuple(_harm(column, mine) for column in columns),
        gaps=tuple(_gap(name, variant.families.get(name), mine) for name in families),
        size=_cost(mine, SIZES, BYTES),
        latency=_cost(mine, LATENCIES, MILLISECONDS),
        cells=mine,
    )


def _harm(column: Column, cells: Sequence[Cell]) -> HarmEntry:
    value = column.of(cells)
    if value is None:
        cell = next((cell for cell in cells if column.is_of(cell)), None)
        return HarmEntry("absent") if cell is None else HarmEntry(cell.status, cell.reason)
    low, high = value.ci or (None, None)
    same = within_arithmetic(value)
    return HarmEntry("ok", value.reason, value.estimate, low, high, mark_of(value), same, value)


def _gap(name: str, family: FamilyResult | None, cells: Sequence[Cell]) -> GapEntry:
    if family is None:
        return GapEntry(name, measured=False)
    low, high = family.gap_ci or (None, None)
    return GapEntry(
        family=name,
        headline=family.headline,
        gap=family.gap,
        low=low,
        high=high,
        alarm=family.alarm,
        alarm_value=family.alarm_value,
        yardsticks=() if family.headline is None else _yardstick_gaps(family.headline, cells),
        reason=family.reason,
    )


def _yardstick_gaps(headline: ValueReference, cells: Sequence[Cell]) -> tuple[float, ...]:
    """The gaps of the yardsticks themselves in a family's headline."""
    value = Column(headline.metric, canonical_parameters(headline.params), headline.value).of(cells)
    return () if value is None else tuple(value.yardstick_gaps)


def _cost(cells: Sequence[Cell], names: Sequence[str], units: Sequence[str]) -> CostEntry:
    """The first cost of one of these names, else of one of these units."""
    costs = {name: value for cell in cells for name, value in cell.values.items() if value.kind == "cost"}
    chosen = next((costs[name] for name in names if name in costs), None)
    chosen = chosen or next((value for value in costs.values() if value.unit in units), None)
    return CostEntry() if chosen is None else CostEntry(chosen.variant, chosen.estimate, chosen.unit, chosen)


def _references(cells: Sequence[Cell], columns: Sequence[Column]) -> tuple[ReferenceRow, ...]:
    rows = []
    for target in dict.fromkeys(cell.target for cell in cells):
        mine = [cell for cell in cells if cell.target == target]
        own = []
        for column in columns:
            values = (column.of([cell]) for cell in mine)
            own.append(next((value for value in values if value is not None and value.reference is not None), None))
        rows.append(
            ReferenceRow(
                target, tuple(own), _of_reference(mine, SIZES, BYTES), _of_reference(mine, LATENCIES, MILLISECONDS)
            )
        )
    return tuple(rows)


def _of_reference(cells: Sequence[Cell], names: Sequence[str], units: Sequence[str]) -> CostEntry:
    cost = _cost(cells, names, units)
    return cost if cost.value is None else CostEntry(cost.value.reference, 1.0, cost.unit, cost.value)

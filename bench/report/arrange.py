"""The results arranged for reading: nothing is computed anew, nothing missing is left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from bench.families import FAMILIES, in_order
from bench.report.board import Board, Column, GapRow, ReferenceRow, Row, State
from bench.report.figures import Figure, alarm_words, cost, estimate, family_gap, figure_of
from bench.report.missing import missing
from bench.report.yardsticks import yardstick_scale, yardstick_words
from bench.results import Cell, FamilyResult, Results, StepUse, ValueReference, ValueResult, VariantResult, Verdict
from bench.wording import canonical, difference_unit, plain, title, told_apart

SIZES = ("file_bytes", "bytes", "size", "size_bytes")
BYTES = ("bytes", "byte", "B")
LATENCIES = ("latency_median", "latency_p50", "latency_median_ms", "latency_p50_ms", "latency")


def state_of(verdict: Verdict) -> State:
    """A verdict as one of four words."""
    if verdict.error:
        return "error"
    return "open" if verdict.ship is None else "ship" if verdict.ship else "stop"


def board(results: Results) -> Board:
    """Arrange a run for reading; nothing is computed anew, nothing missing is left out."""
    columns = harm_columns(results.cells)
    families = _families(results)
    several = Counter((variant.name, variant.target) for variant in results.variants)
    rows = tuple(
        _row(variant, results.cells, columns, families, several[variant.name, variant.target] > 1)
        for variant in results.variants
    )
    return Board(
        title=plain(results.suite.name),
        state=state_of(results.verdict),
        because=plain(results.verdict.because) or "undecided: no gate was judged",
        columns=columns,
        families=tuple(plain(name) for name in families),
        references=_references(results.cells, columns),
        rows=rows,
        notes=tuple(missing(rows)),
        yardsticks=yardstick_scale(results.reference),
        yardstick=yardstick_words(results.reference),
        gated=any(value.gates for cell in results.cells for value in cell.values.values()),
        warnings=() if results.run is None else tuple(map(plain, results.run.warnings)),
    )


def harm_columns(cells: Sequence[Cell]) -> tuple[Column, ...]:
    """Every value that has a harm: gated ones first, then those with an interval, each in order of appearance."""
    apart = told_apart((cell.metric, cell.params) for cell in cells)
    found: dict[tuple[str, str, str], list[ValueResult]] = defaultdict(list)
    for cell in cells:
        for name, value in cell.values.items():
            if value.kind in ("quality", "pair"):
                found[cell.metric, canonical(cell.params), name].append(value)
    columns = []
    for (metric, params, name), values in found.items():
        words = apart[metric, params]
        label = f"{title(name)} ({words})" if words else title(name)
        gated, sure = any(value.gates for value in values), any(value.ci is not None for value in values)
        unit = next((difference_unit(value) for value in values if value.estimate is not None), "")
        columns.append(Column(metric, params, name, label, gated, sure, unit))
    columns.sort(key=lambda column: (not column.gated, not column.interval))
    return tuple(columns)


def _families(results: Results) -> tuple[str, ...]:
    """Families in order; one without gaps, such as cost, only where it has a headline."""
    found = {name: family for variant in results.variants for name, family in variant.families.items()}
    return tuple(n for n in in_order(set(found)) if n not in FAMILIES or FAMILIES[n].gaps or found[n].headline)


def _row(
    variant: VariantResult,
    cells: Iterable[Cell],
    columns: Sequence[Column],
    families: Sequence[str],
    several: bool,
) -> Row:
    key = (variant.name, variant.target, variant.replicate)
    mine = tuple(cell for cell in cells if (cell.variant, cell.target, cell.replicate) == key)
    place = plain(variant.target)
    if several:
        place += ", all replicates" if variant.replicate is None else f", replicate {variant.replicate}"
    return Row(
        name=plain(variant.name),
        place=place,
        state=state_of(variant.verdict),
        because=plain(variant.verdict.because) or "undecided: no gate was judged",
        steps=" → ".join(_step(step) for step in variant.steps),
        harms=tuple(_harm(column, mine) for column in columns),
        gaps=tuple(_gap_row(name, variant.families.get(name), mine) for name in families),
        size=_cost(mine, SIZES, BYTES, "variant"),
        latency=_cost(mine, LATENCIES, ("ms",), "variant"),
        cells=mine,
    )


def _step(use: StepUse) -> str:
    given = [
        f"{plain(key)} {plain(value)}"
        for key, value in use.parameters.items()
        if value is not None and not isinstance(value, dict | list)
    ]
    return f"{plain(use.step)} ({', '.join(given)})" if given else plain(use.step)


def _harm(column: Column, cells: Sequence[Cell]) -> Figure:
    value = column.of(cells)
    if value is not None:
        return estimate(value)
    for cell in cells:
        if cell.metric == column.metric and canonical(cell.params) == column.params:
            return Figure(reason=f"{cell.status}: {plain(cell.reason) or 'no reason given'}")
    return Figure(reason="not measured here")


def _gap_row(name: str, family: FamilyResult | None, cells: Sequence[Cell]) -> GapRow:
    if family is None:
        return GapRow(plain(name), "", Figure(reason="not measured here"))
    low, high = family.gap_ci or (None, None)
    gaps = [] if family.headline is None else _yardstick_gaps(family.headline, cells)
    return GapRow(
        family=plain(name),
        headline="" if family.headline is None else title(family.headline.value),
        figure=family_gap(family),
        gap=family.gap,
        low=low,
        high=high,
        alarm=family.alarm,
        alarm_words=alarm_words(family),
        band=(min(gaps), max(gaps)) if gaps else None,
    )


def _yardstick_gaps(headline: ValueReference, cells: Sequence[Cell]) -> list[float]:
    """The gaps of the yardsticks themselves in a family's headline."""
    for cell in cells:
        if (cell.metric, canonical(cell.params)) == (headline.metric, canonical(headline.params)):
            return cell.values[headline.value].yardstick_gaps if headline.value in cell.values else []
    return []


def _cost(
    cells: Sequence[Cell], names: Sequence[str], units: Sequence[str], side: Literal["reference", "variant"]
) -> Figure:
    """The first cost of one of these names, else of one of these units."""
    costs = {name: value for cell in cells for name, value in cell.values.items() if value.kind == "cost"}
    chosen = next((costs[name] for name in names if name in costs), None)
    chosen = chosen or next((value for value in costs.values() if value.unit in units), None)
    return Figure(reason="not measured here") if chosen is None else cost(chosen, side)


def _references(cells: Sequence[Cell], columns: Sequence[Column]) -> tuple[ReferenceRow, ...]:
    rows = []
    for target in dict.fromkeys(cell.target for cell in cells):
        mine = [cell for cell in cells if cell.target == target]
        harms = []
        for column in columns:
            values = [v for cell in mine if (v := column.of([cell])) is not None and v.reference is not None]
            harms.append(figure_of(values[0], "reference") if values else Figure())
        size, latency = _cost(mine, SIZES, BYTES, "reference"), _cost(mine, LATENCIES, ("ms",), "reference")
        rows.append(ReferenceRow(plain(target), tuple(harms), size, latency))
    return tuple(rows)

"""Marks of harms that are sure among all of a suite: p-values after Holm, the same whichever cells a run holds."""

from __future__ import annotations

from collections.abc import Sequence

from bench.engine.inline import InlineEngine, Measured
from bench.metrics.values import Mean, Proportion, Statistic
from bench.results import ValueResult
from bench.stats.multiplicity import holm
from bench.suite.plan import PlannedCell

Cells = Sequence[tuple[PlannedCell, Measured]]


def adjust(engine: InlineEngine, cells: Cells) -> None:
    """Fill ``p_adjusted`` of every harm: Holm over all rows of the plan, measured in this run or not.

    A cell that --only or --shard left out counts by its stored figures; one that was never measured counts with p = 1,
    which takes marks away and never gives one: what is marked in a part of a suite is marked in the whole.
    """
    held = {planned.label for planned, _ in cells}
    rows = [value for _, measured in cells for value in _harms(measured.cell.values)]
    others = [p for cell in engine.plan.cells if cell.label not in held for p in _left_out(engine, cell)]
    if engine.plan.suite.replicates > 1:  # the rows over all replicates, which a part of a suite does not hold
        whole = {_recipe(planned) for planned, measured in cells if measured.cell.replicate is None}
        groups = {_recipe(cell): cell for cell in engine.plan.cells}
        others += [1.0 for name, cell in groups.items() if name not in whole for _ in range(_declared(cell))]
    known = [value.p_value for value in rows if value.p_value is not None]
    adjusted = iter(holm([*known, *others]))
    for value in rows:
        value.p_adjusted = None if value.p_value is None else next(adjusted)


def _recipe(cell: PlannedCell) -> str:
    return cell.label.partition("#")[0]


def _harms(values: dict[str, ValueResult]) -> list[ValueResult]:
    return [value for value in values.values() if value.kind in ("quality", "pair")]


def _declared(cell: PlannedCell) -> int:
    """The number of harms with a p-value that a cell's metric declares."""
    return sum(
        isinstance(value, Mean | Proportion | Statistic) and value.better != "none" and not value.no_interval
        for value in cell.use.metric.values
    )


def _left_out(engine: InlineEngine, cell: PlannedCell) -> list[float]:
    """The p-values of a cell that is not in this run: as stored, else 1; none of one that was skipped or failed."""
    stored = engine.stored(cell)
    if stored is None:
        return [1.0] * _declared(cell)
    return [value.p_value for value in _harms(stored.values) if value.p_value is not None]

"""Gated cells that were skipped when a baseline was accepted: accepted by name, as long as they are skipped so."""

from __future__ import annotations

import re

from pydantic import Field

from bench.results import Cell, CellRecord, Results
from bench.wording import plain


class SkippedCell(CellRecord):
    """A skip that was accepted, and its reason then."""

    reason: str
    values: list[str] = Field(description="the values that are gated")


def gated_names(cell: Cell) -> list[str]:
    """The names of a cell's gated values."""
    return [name for name, value in cell.values.items() if value.gates]


def accepted_by_suite(cell: Cell) -> bool:
    """Whether the suite says by name that the cell may be skipped."""
    return any(gate.verdict == "accepted" for value in cell.values.values() for gate in value.gates)


def skipped_cells(results: Results) -> list[SkippedCell]:
    """The gated cells of a run that are skipped and that its suite does not accept itself."""
    skipped = [
        SkippedCell(
            variant=cell.variant, target=cell.target, metric=cell.metric, params=cell.params,
            replicate=cell.replicate or 0, label=cell.label, reason=plain(cell.reason), values=sorted(names),
        )
        for cell in results.cells
        if cell.status == "skipped" and (names := gated_names(cell)) and not accepted_by_suite(cell)
    ]  # fmt: skip
    return sorted(skipped, key=lambda cell: cell.id.path)


def same_reason(before: str, after: str) -> bool:
    """Whether two skips say the same; figures in their words may differ from machine to machine.

    >>> same_reason("differs by 0.31 on 64 samples", "differs by 2e-3 on 16 samples")
    True
    >>> same_reason("no input gradient", "needs labels")
    False
    """
    first, second = (re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", plain(text)) for text in (before, after))
    return first == second

"""Each variant's change in a later run beside its change in an earlier one; it decides nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from bench.cell_id import CellId
from bench.results import Cell, CellRecord, RatioFigures, Results, RunRatio
from bench.stats.resampling import Resamples
from bench.store.samples import CellSamples, RunSamples
from bench.variant_ratio import Side, kept_changes, ratio_figures, vectors_of
from bench.wording import plain

NOW, BEFORE = "the variant now", "the variant before"


class _Asked(NamedTuple):
    """One change of one cell in both runs."""

    cell: Cell
    value: str
    now: Side
    before: Side


def run_ratios(
    before: Results, before_samples: RunSamples, after: Results, after_samples: RunSamples
) -> list[RunRatio]:
    """(Δ_after / Δ_before)^(1/p) of every change whose distances a run kept, cell by cell and replicate by replicate.

    The reference, the data and the samples have to be the same; yardsticks need not be. Where a ratio cannot be had it
    is null with the reason.

    Args:
        before: The earlier run.
        before_samples: Its per-sample arrays.
        after: The later run.
        after_samples: Its per-sample arrays.
    """
    old, new = ({cell.id: cell for cell in run.cells} for run in (before, after))
    ratios: list[RunRatio] = []
    asked: dict[int, list[_Asked]] = defaultdict(list)
    for cell_id in sorted({*old, *new}, key=lambda cell_id: cell_id.path):
        kept = before_samples.cells.get(cell_id.path), after_samples.cells.get(cell_id.path)
        for value in kept_changes(*kept):
            cell = new.get(cell_id) or old[cell_id]
            if reason := _absent(cell_id, old, new) or _other_sums(*kept):
                ratios.append(_told(cell, RatioFigures(value=value, reason=reason)))
            else:
                sides = Side(NOW, new[cell_id], kept[1]), Side(BEFORE, old[cell_id], kept[0])
                distances = sides[0].distances(value)
                size = 0 if distances is None else distances.variant["x"].size
                asked[size].append(_Asked(cell, value, *sides))
    for size, questions in asked.items():
        vectors = [row for item in questions for row in vectors_of(item.value, [(item.now, item.before)])]
        resamples = Resamples(size).ahead(vectors) if size else None  # one pass for all of as many samples
        for item in questions:
            figures = ratio_figures(item.value, item.now, item.before, resamples)
            ratios.append(_told(item.cell, figures, unchanged=_unchanged(item)))
    return sorted(ratios, key=lambda item: (item.id.path, item.value))


def _absent(cell_id: CellId, old: dict[CellId, Cell], new: dict[CellId, Cell]) -> str:
    """Why one of both runs has no such change; empty where both have."""
    for cell, run in ((old.get(cell_id), "earlier"), (new.get(cell_id), "later")):
        if cell is None:
            return f"not in the {run} run"
        if cell.status != "ok":
            return f"{cell.status} in the {run} run: {plain(cell.reason) or 'no reason given'}"
    return ""


def _other_sums(before: CellSamples | None, now: CellSamples | None) -> str:
    """Why two kinds of 8-bit sums are not compared: one and the same file is two functions then."""
    if before is None or now is None:
        return ""
    kinds = [item.identity.get("integer_sums") or "none" for item in (before, now)]
    return (
        "" if kinds[0] == kinds[1] else f"8-bit products were summed in another way ({kinds[0]} before, {kinds[1]} now)"
    )


def _unchanged(item: _Asked) -> bool:
    return item.now.cell.key == item.before.cell.key != ""


def _told(cell: Cell, figures: RatioFigures, *, unchanged: bool = False) -> RunRatio:
    fields = {name: getattr(cell, name) for name in CellRecord.model_fields}
    return RunRatio(**fields, **dict(figures), family=cell.family, unchanged=unchanged)

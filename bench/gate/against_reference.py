"""A run against the tolerances that its suite declares: gates in every cell, verdicts, and judgements of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.cell_id import canonical_parameters
from bench.gate.classes import judge_classes
from bench.gate.gated import judge_gates
from bench.gate.judgements import suite_file
from bench.gate.tolerances import Tolerance, judge_gate
from bench.gate.verdicts import with_verdicts
from bench.results import Cell, GateResult, Judgement, Results, ValueResult
from bench.results.rules import RULES
from bench.store.samples import RunSamples
from bench.wording import plain


def judge_results(
    results: Results,
    declared: Iterable[tuple[str, Mapping[str, Any], Sequence[Tolerance]]],
    samples: RunSamples | None = None,
    accepted: Callable[[Cell], str] = lambda cell: "",
) -> Results:
    """Judge every declared gate, then every verdict; a new ``Results``, the given one is untouched.

    ``declared`` holds (metric name, its parameters, its tolerances). A gate whose value is absent, as in an errored
    or skipped cell, is kept as inconclusive on an empty value: the results alone tell what could not be judged.
    ``samples`` are the run's per-sample arrays; without them no class can be judged apart. ``accepted`` names what
    accepts the skip of a cell, where something does.
    """
    table: dict[tuple[str, str], list[Tolerance]] = {}
    for metric, params, tolerances in declared:
        table.setdefault((metric, canonical_parameters(params)), []).extend(tolerances)
    cells = [
        judge_cell(cell, table.get((cell.metric, canonical_parameters(cell.params)), ()), samples, accepted(cell))
        for cell in results.cells
    ]
    return with_verdicts(results.model_copy(update={"cells": cells}))


def judge_cell(
    cell: Cell, tolerances: Sequence[Tolerance], samples: RunSamples | None = None, accepted: str = ""
) -> Cell:
    """A copy of the cell whose values carry these gates and no others.

    A cell over all replicates has no arrays of its own: what is asked per class is judged in each replicate.
    ``accepted`` names what accepts that the cell is skipped; it never covers an error.
    """
    values = {name: value.model_copy(update={"gates": []}) for name, value in cell.values.items()}
    for item in tolerances:
        per, margin = getattr(item, "per", None), getattr(item, "margin", None)
        if per is not None and cell.replicate is None:
            continue
        absent = item.value not in values
        if absent:
            reason = plain(cell.reason) or "the cell holds no such value"
            values[item.value] = ValueResult(kind=RULES[item.rule].kinds[0], reason=reason)
        value = values[item.value]
        if cell.status == "ok":
            judged = judge_gate(value, item.rule, item.tolerance)
            if absent:
                judged.looked = False
            elif per is not None:
                judged = judge_classes(cell, item, value, samples)
        else:
            judged = _not_looked_at(cell, item, accepted)
        judged = judged.model_copy(update={"per": per, "margin": margin})
        values[item.value] = value.model_copy(update={"gates": [*value.gates, judged]})
    return cell.model_copy(update={"values": values})


def _not_looked_at(cell: Cell, item: Tolerance, accepted: str) -> GateResult:
    """A gate on a cell that holds nothing: accepted by name, or open."""
    skipped = cell.status == "skipped"
    because = f"{'skipped' if skipped else 'an error'}: {plain(cell.reason) or 'no reason given'}"
    if skipped and accepted:
        because += f" (accepted: {plain(accepted)})"
        return GateResult(rule=item.rule, tolerance=item.tolerance, verdict="accepted", because=because, looked=False)
    return GateResult(rule=item.rule, tolerance=item.tolerance, verdict="inconclusive", because=because, looked=False)


def judge_reference(results: Results, suite_path: str = "") -> list[Judgement]:
    """Every gate of a run against the reference as a judgement."""
    path = suite_path or suite_file(results)
    return [item for cell in results.cells for item in judge_gates(cell, path)]

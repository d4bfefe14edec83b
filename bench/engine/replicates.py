"""Recipe scope: what several independent trainings of the whole chain say of the method in general."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import exp, hypot, log
from typing import Any

import numpy as np

from bench.engine.derive import DerivedValue
from bench.engine.inline import InlineEngine, Measured
from bench.results import Cell, ValueResult
from bench.stats.interval import LEVEL
from bench.stats.quantiles import normal_quantile
from bench.stats.rare_across_replicates import rare_across_replicates, rare_on_own_samples
from bench.stats.scope import NEEDED, Replicated, across_replicates
from bench.suite.plan import STATISTICS_VERSION, PlannedCell

Group = Sequence[tuple[PlannedCell, Measured]]
RECIPE_VERSION = 2  # rises when the same replicates give another number together


def recipe_cells(engine: InlineEngine, cells: Group) -> list[tuple[PlannedCell, Measured]]:
    """One cell over all replicates for each (variant, target, metric) of which every replicate is ok."""
    groups: dict[str, list[tuple[PlannedCell, Measured]]] = defaultdict(list)
    for planned, measured in cells:
        groups[planned.label.partition("#")[0]].append((planned, measured))
    whole = [g for g in groups.values() if len(g) > 1 and all(measured.cell.status == "ok" for _, measured in g)]
    return [(group[0][0], Measured(_recipe_cell(engine, group))) for group in whole]


def _recipe_cell(engine: InlineEngine, group: Group) -> Cell:
    first = group[0][1].cell
    parts = {
        "statistics": STATISTICS_VERSION,
        "recipe": RECIPE_VERSION,
        "replicates": [planned.key for planned, _ in group],
    }
    measured_cells = [measured for _, measured in group]
    values, cached = engine.across("cells", parts, measured_cells, lambda: _content(engine, group), _values)
    fields = {
        "replicate": None,
        "label": first.label.partition("#")[0],
        "values": values,
        "details": {},
        "key": "",
        "seconds": 0.0,
        "cached": cached,
    }
    return first.model_copy(update=fields)


def _values(content: dict[str, Any]) -> dict[str, ValueResult]:
    """Read stored values; a ``ValueError`` or ``LookupError`` where it is something else."""
    return {name: ValueResult.model_validate(value) for name, value in dict(content["values"]).items()}


def _content(engine: InlineEngine, group: Group) -> dict[str, Any]:
    """Every value over all replicates, as it is stored."""
    derived = [measured.derived or engine.derive(planned).derived for planned, measured in group]
    values = {name: _over_replicates([item[name] for item in derived]) for name in derived[0]}
    return {"status": "ok", "values": {name: value.model_dump(mode="json") for name, value in values.items()}}


def _over_replicates(replicates: Sequence[DerivedValue]) -> ValueResult:
    """The mean over replicates, with a t interval from five on; gaps on the logarithm."""
    results = [item.result for item in replicates]
    out = results[0].model_copy(
        update={
            "scope": "recipe", "reference": _mean([r.reference for r in results]),
            "variant": _mean([r.variant for r in results]), "estimate": None, "ci": None, "interval": "none",
            "gap": None, "gap_ci": None, "gap_further": None, "own_ci": None, "seed_ratio": None, "p_value": None,
            "reference_ci": None,
            "p_adjusted": None, "bound": None, "yardsticks": [], "yardstick_gaps": [],
            "numerical_floor": None, "gates": [],
        }
    )  # fmt: skip
    if out.kind == "bound":
        return out.model_copy(update={"reason": "bounds are not averaged over replicates"})
    estimates = [r.estimate for r in results if r.estimate is not None]
    if len(estimates) < len(results):
        return out.model_copy(update={"reason": "not every replicate has an estimate"})
    draws = [item.draws() for item in replicates if item.draws is not None]
    rare = _rare(replicates, signed=out.kind != "change")
    if rare is not None:
        replicated = rare
    elif len(draws) == len(results):
        replicated = across_replicates(estimates, draws=np.array(draws))
    elif out.kind == "cost":
        replicated = across_replicates(estimates, standard_error=0.0)
    else:
        replicated = across_replicates(estimates[:1], standard_error=0.0)._replace(estimate=float(np.mean(estimates)))
    out.estimate, out.interval = replicated.estimate, replicated.interval.method
    limits = replicated.interval.within(*replicates[0].limits)
    out.ci = None if out.interval == "none" else (limits.low, limits.high)
    out.p_value = replicated.p_value if out.kind in ("quality", "pair") and out.better != "none" else None
    out.reason = "" if out.ci is not None else f"{len(results)} replicates: a recipe interval needs {NEEDED}"
    _own(out, results)
    _gap(out, replicates)
    return out


def _rare(replicates: Sequence[DerivedValue], *, signed: bool) -> Replicated | None:
    """What few events tell, of which draws and the spread of the replicates know too little; None of anything else."""
    events = [item.events() for item in replicates if item.events is not None]
    if len(events) < len(replicates):
        return None
    if len({item.shape for item in events}) == 1:
        return rare_across_replicates(np.array(events), signed=signed)
    return None if signed else rare_on_own_samples(events)


def _own(out: ValueResult, results: Sequence[ValueResult]) -> None:
    """The mean of the replicates' own figures; on the same samples, so that sampling errors do not average out."""
    figures = [result.variant for result in results if result.variant is not None]
    ends = [result.own_ci for result in results if result.own_ci is not None]
    widths = [high - low for low, high in ends if low is not None and high is not None]
    if len(figures) < len(results) or len(widths) < len(results):
        return
    error = float(np.mean(widths)) / (2 * normal_quantile((1 + LEVEL) / 2))
    low, high, method = across_replicates(figures, standard_error=error).interval
    out.own_ci = None if method == "none" else (low, high)


def _gap(out: ValueResult, replicates: Sequence[DerivedValue]) -> None:
    """The geometric mean of the replicates' gaps; the yardsticks are the same, so their error does not average out."""
    gaps = [item.gap for item in replicates]
    points = [gap.gap for gap in gaps if gap is not None and gap.gap is not None and gap.deviations is not None]
    if out.kind != "change" or len(points) < len(gaps):
        out.reason = out.reason or ("not every replicate has a gap" if out.kind == "change" else "")
        return
    deviations = np.array(
        [gap.deviations / gap.power for gap in gaps if gap is not None and gap.deviations is not None]
    )
    sampling = float(np.std(deviations.mean(axis=0)))
    known = [gap for gap in gaps if gap is not None]
    # the yardsticks' spread is often known worse than the replicates'
    freedom = min(gap.yardsticks for gap in known) - 1

    def limits(yardstick: float) -> Replicated:
        return across_replicates(
            [log(point) for point in points], standard_error=hypot(sampling, yardstick), freedom=freedom
        )

    centre, (low, high, _), _ = limits(float(np.mean([gap.yardstick_error / gap.power for gap in known])))
    out.gap = exp(centre)
    out.gap_ci = None if low is None or high is None else (exp(low), exp(high))
    _, (low, _, _), _ = limits(float(np.mean([gap.further_spread / gap.power for gap in known])))
    out.gap_further = None if low is None else exp(low)


def _mean(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return float(np.mean(known)) if len(known) == len(figures) else None

"""Deep-ensemble equivalents of a run: each network beside random ensembles of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.engine.asked import NoAnswer, answer_of
from bench.engine.inline import InlineEngine
from bench.engine.over_networks import measured
from bench.errors import NotApplicable
from bench.functional.members.ensemble_curve import EnsembleCurve, ensemble_curve
from bench.functional.members.ensemble_equivalent import ensemble_equivalent
from bench.results import EnsemblePoint, EquivalentFigures, EquivalentsResult
from bench.suite.equivalents import Compared, PlannedEquivalents


def equivalents_of(engine: InlineEngine, items: Sequence[PlannedEquivalents]) -> list[EquivalentsResult]:
    """Every section."""
    results = []
    for item in items:
        names = {"name": item.section.name, "samples": item.count, "pool": item.section.networks}
        results.append(measured(engine, item, EquivalentsResult.model_validate(names), _derive))
    return results


def _derive(engine: InlineEngine, planned: PlannedEquivalents, blank: EquivalentsResult) -> EquivalentsResult:
    samples = engine.observations.samples(planned.count)
    if samples.y is None or not planned.compared:
        reason = "nothing is compared" if samples.y is not None else "the samples have no labels"
        return blank.model_copy(update={"status": "skipped", "reason": reason})
    try:
        pool = np.stack([answer_of(engine, item).arrays["log_probabilities"] for item in planned.pool])
        engine.observations.progress(f"ensembles of {len(pool)} networks")
        curve = ensemble_curve(pool, samples.y, samples.ids, seed=planned.seed)
    except NoAnswer as error:
        return blank.model_copy(update={"status": error.status, "reason": f"a network of the pool: {error}"})
    except NotApplicable as error:
        return blank.model_copy(update={"status": "skipped", "reason": str(error)})
    rows = [_figures(engine, planned, item, curve) for item in planned.compared]
    faults = [row.reason for row in rows if row.status == "error"]
    status = "error" if faults else "ok" if any(row.status == "ok" for row in rows) else "skipped"
    reason = faults[0] if faults else "" if status == "ok" else rows[0].reason
    told = {"status": status, "reason": reason, "curve": _points(curve), "networks": rows}
    return blank.model_copy(update=told)


def _points(curve: EnsembleCurve) -> list[EnsemblePoint]:
    own = -curve.log_likelihoods.mean(axis=1)
    points = []
    for size in range(1, curve.pool + 1):
        of_size = own[curve.sizes == size]
        figures = {"calibrated_nll": of_size.mean(), "least": of_size.min(), "most": of_size.max()}
        numbers = {name: float(figure) for name, figure in figures.items()}
        points.append(EnsemblePoint(size=size, subsets=len(of_size), **numbers))
    return points


def _figures(
    engine: InlineEngine, planned: PlannedEquivalents, item: Compared, curve: EnsembleCurve
) -> EquivalentFigures:
    names: dict[str, Any] = {"role": item.role, "name": item.name, "target": item.target.name}
    blank = EquivalentFigures(**names, replicate=item.replicate)
    try:
        log_p = answer_of(engine, item.logits).arrays["log_probabilities"]
        worth = ensemble_equivalent(curve, log_p, seed=planned.seed)
    except NoAnswer as error:
        return blank.model_copy(update={"status": error.status, "reason": str(error)})
    except NotApplicable as error:
        return blank.model_copy(update={"status": "skipped", "reason": str(error)})
    return blank.model_copy(
        update={
            "calibrated_nll": float(-curve.likelihood(log_p).mean()),
            "equivalent": worth.estimate,
            "ci": (worth.low, worth.high),
            "censored": worth.estimate_censored,
            "ci_censored": (worth.low_censored, worth.high_censored),
            **engine.observations.networks.effort(item.logits.network)._asdict(),
            **_costs(engine, item),
        }
    )


def _costs(engine: InlineEngine, item: Compared) -> dict[str, float]:
    """Bytes and multiply-accumulates, where they are known; that they are not is no fault of the equivalent."""
    try:
        arrays = answer_of(engine, item.artefact).arrays
    except NoAnswer:
        return {}
    return {name: float(arrays[name]) for name in ("file_bytes", "macs") if name in arrays}

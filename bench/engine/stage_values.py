"""One value at one stage: how far from the reference, how far the step led, and what it added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from numpy.typing import NDArray

from bench.engine.arrays import NetworkArrays
from bench.engine.derive import Derivation
from bench.engine.evidence import Evidence, sample_distances
from bench.errors import NotApplicable
from bench.metrics.base import Metric
from bench.metrics.values import Change, Mean, Proportion, Statistic, Value
from bench.results import StageValue, ValueResult
from bench.stats.change import Change as Estimate
from bench.stats.change import added_change, change
from bench.stats.mean import change_vectors
from bench.stats.resampling import Resamples


def stage_resamples(
    derivation: Derivation,
    metric: Metric,
    start: Evidence,
    before: Sequence[NetworkArrays],
    own: Sequence[NetworkArrays],
) -> Resamples:
    """The resamples, which know what the values of a stage need of them: all from one pass."""
    vectors, statistics = derivation.resampled_later(metric.values, replace(start, variant=own))
    figures = [value for value in metric.values if not isinstance(value, Change)]
    more, others = derivation.resampled_later(figures, Evidence(before, own, (), None, start.n))
    for value in metric.values:
        if not isinstance(value, Change) or value.where or before is start.reference:
            continue
        if (moved := _moved(value, start.reference, before, own)) is not None:
            more.append(change_vectors(moved.step, count=value.count))
            if not value.count:
                more.append(change_vectors(moved.after - moved.before))
    return Resamples(start.n, derivation.draws).ahead(vectors + more, statistics + others)


def stage_value(
    derivation: Derivation,
    value: Value,
    start: Evidence,
    last: tuple[str, Sequence[NetworkArrays]],
    own: Sequence[NetworkArrays],
    resamples: Resamples,
) -> StageValue:
    """One value at one stage."""
    since, before = last
    cumulative = derivation.value(value, replace(start, variant=own), resamples).result
    out = StageValue(cumulative=cumulative, since=since)
    if isinstance(value, Change):
        if before is start.reference:  # the first step: how far it led is all that there is
            nothing: dict[str, Any] = {"gap": None, "gap_ci": None, "gap_further": None, "yardsticks": []}
            nothing |= {"yardstick_gaps": [], "reason": cumulative.reason if cumulative.ci is None else ""}
            whole = cumulative.model_copy(update={**nothing, "numerical_floor": _rounding(value, cumulative)})
            return StageValue(cumulative=cumulative, step=whole, added=whole.model_copy(), since=since)
        moved = _moved(value, start.reference, before, own)
        if moved is None:
            return out
        if moved.step.size != resamples.n:
            resamples = Resamples(moved.step.size, derivation.draws)
        out.step = _changed(value, change(moved.step, resamples, count=value.count, largest=value.largest), cumulative)
        more = added_change(moved.before, moved.after, resamples, count=value.count, largest=value.largest)
        out.added = _changed(value, more, cumulative)
    elif isinstance(value, Mean | Proportion | Statistic):
        paired = Evidence(before, own, (), None, start.n)
        out.added = derivation.value(value, paired, resamples).result
        out.added.numerical_floor = _rounding(value, cumulative)
    return out


class _Moved(NamedTuple):
    """Distances (m,) of one step, and those from the reference before and after it."""

    step: NDArray[Any]
    before: NDArray[Any]
    after: NDArray[Any]


def _moved(
    value: Change, reference: Sequence[NetworkArrays], before: Sequence[NetworkArrays], own: Sequence[NetworkArrays]
) -> _Moved | None:
    """What a step moved; None where nothing adds up from stage to stage, or a network has no such figure."""
    if value.summary == "worst class":
        return None
    try:
        pairs = (before, own), (reference, before), (reference, own)
        moved = _Moved(*(sample_distances(value, *pair) for pair in pairs))
    except NotApplicable:
        return None
    return moved if moved.step.size else None


def _changed(value: Change, moved: Estimate, cumulative: ValueResult) -> ValueResult:
    low, high, method = moved.interval
    result = ValueResult(
        kind="change",
        unit=value.unit,
        n=cumulative.n,
        power=cumulative.power,
        estimate=moved.estimate,
        ci=(low, high),
        interval=method,
        numerical_floor=_rounding(value, cumulative),
    )
    if cumulative.ci is None:  # of so few samples no interval is known to cover
        return result.model_copy(update={"ci": None, "interval": "none", "reason": cumulative.reason})
    return result


def _rounding(value: Value, cumulative: ValueResult) -> float | None:
    """The distance that rounding alone may bring about between two networks: 2^p floors.

    The floor is what the reference's own rounding does. Both networks round, and the p-th root of a distance obeys
    the triangle inequality.
    """
    power = value.power if isinstance(value, Change) else 1
    return None if cumulative.numerical_floor is None else 2**power * cumulative.numerical_floor

"""Values without a resampled distribution: the worst class, bounds, and costs."""

from __future__ import annotations

from bench.engine.arrays import NetworkArrays
from bench.engine.evidence import Evidence
from bench.metrics.values import Bound, Change, Cost, Float, names
from bench.results import BoundInfo, ValueResult
from bench.stats.worst_class import worst_class


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None or below <= 0 else above / below


def bound_result(value: Bound, evidence: Evidence) -> ValueResult:
    """The interval in which the true ratio variant / reference lies; no sampling interval.

    Of a pair probe there is no ratio: the reference does not differ from itself.
    """
    first, second = (
        value.figures(*(draws[0][name] for name in names(value.of))) for draws in (evidence.reference, evidence.variant)
    )
    of_pair = any(probe.pair for probe, _ in evidence.variant[0].answers if set(probe.arrays) & set(names(value.of)))
    ratio = (None, None) if of_pair else (_ratio(second.lower, first.upper), _ratio(second.upper, first.lower))
    why_open = "a pair's bound has no ratio to the reference" if of_pair else "one-sided bounds leave the ratio open"
    lower_only = value.evidence == "lower"
    return ValueResult(
        kind="bound",
        unit=value.unit,
        better=value.better,
        n=evidence.n if lower_only else None,
        reference=first.lower if lower_only else first.upper,
        variant=second.lower if lower_only else second.upper,
        reason=why_open if None in ratio else "",
        bound=BoundInfo(kind=value.evidence, norm=value.norm, domain=value.domain, ratio=ratio),
    )


def cost_result(value: Cost, evidence: Evidence) -> ValueResult:
    """Each network's own figure, and their ratio; of timings only where both were taken in turn."""
    own, other = evidence.reference[0], evidence.variant[0]
    second = value.figure(other)
    first = value.figure(other, value.against) if value.against else value.figure(own)
    ratio = _ratio(second, first)
    reason = "" if ratio is not None else _why_no_cost(value, own, other)
    return ValueResult(
        kind="cost",
        unit=value.unit,
        better=value.better,
        reference=first,
        variant=second,
        estimate=ratio,
        reason=reason,
    )


def _why_no_cost(value: Cost, own: NetworkArrays, other: NetworkArrays) -> str:
    """Why a cost has no ratio: what the probes said of either network, else that no probe was asked."""
    said = []
    for role, arrays in (("reference", own), ("variant", other)):
        why = arrays.refusal(value.of) or arrays.notes.get("why", {}).get(value.of, "")
        if why and not (value.against and role == "reference"):
            said.append(f"{role}: {why}")
    return "; ".join(said) or value.absent or "not known for both networks"


def worst_class_result(value: Change, distances: Float, evidence: Evidence) -> ValueResult:
    """The largest rate over the classes with ten samples or more, and whose it is; a maximum has no gap."""
    worst = worst_class(distances, evidence.reference[0][value.by])
    reason = worst.reason
    if worst.label is not None:
        which = f"class {worst.label}, the largest of {worst.classes}" if worst.estimate else "in no class"
        reason = f"{which}; a maximum over classes has no gap"
    low, high, method = worst.interval
    return ValueResult(
        kind="change",
        unit=value.unit,
        better="none",
        n=worst.n or distances.size,
        power=value.scale_power,
        estimate=worst.estimate,
        ci=None if method == "none" else (low, high),
        interval=method,
        reason=reason,
    )

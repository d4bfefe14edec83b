"""From observations to a cell's values: every interval, gap and harm comes from ``stats``."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bench.engine.arrays import NetworkArrays
from bench.engine.row_blocks import by_rows
from bench.errors import NotApplicable
from bench.metrics.base import reads
from bench.metrics.values import Bound, Change, Cost, Float, Mean, Proportion, Quality, Statistic, Value, names
from bench.results import BoundInfo, ValueResult
from bench.stats.change import change_and_draws, independent_change
from bench.stats.figure import mean_figure
from bench.stats.gap import Gap, gap_on
from bench.stats.harm import Harm, Resampled, harm, harm_of_proportions, harm_without_interval
from bench.stats.interval import Interval
from bench.stats.percentile import percentile_interval
from bench.stats.resampling import Resamples
from bench.stats.yardstick import Scale, scale_of

DRAWS = 10_000


@dataclass(frozen=True, eq=False)
class Evidence:
    """The arrays of a cell's networks, by draw; what need not be asked beside a skipped network is not in it."""

    reference: Sequence[NetworkArrays]
    variant: Sequence[NetworkArrays]
    yardsticks: Sequence[Sequence[NetworkArrays]]
    floor: NetworkArrays | None
    n: int

    @property
    def skipped(self) -> str:
        """Which of the two networks has no figures here, and why, the variant first; empty where both have some."""
        for role, draws in (("variant", self.variant), ("reference", self.reference)):
            if draws and draws[0].refused:
                return f"{role}: {draws[0].refused}"
        return ""


class DerivedValue(NamedTuple):
    """A value, its gap for the family alarm, and its resampled estimates for the recipe scope."""

    result: ValueResult
    gap: Gap | None = None
    draws: Callable[[], Float] | None = None  # (B,), over the shared resamples
    limits: tuple[float, float] = (-math.inf, math.inf)  # what the estimate can be


@dataclass
class Derivation:
    """Derives values; own figures of references and yardsticks are computed once and reused for every variant."""

    draws: int = DRAWS
    _points: dict[Hashable, float] = field(default_factory=dict)
    _resampled: dict[Hashable, Float] = field(default_factory=dict)
    _scales: dict[Hashable, tuple[Scale, list[float]]] = field(default_factory=dict)

    def value(self, value: Value, evidence: Evidence) -> DerivedValue:
        """One value of a cell, with what alarms and replicates build on."""
        reason = _absent(value, evidence)
        if reason:
            return DerivedValue(_null(value, reason))
        try:
            if isinstance(value, Change):
                return self._change(value, evidence)
            if isinstance(value, Mean | Proportion | Statistic):
                return self._quality(value, evidence)
        except NotApplicable as error:
            return DerivedValue(_null(value, str(error)))
        return DerivedValue(_bound(value, evidence) if isinstance(value, Bound) else _cost(value, evidence))

    def _resamples(self, n: int) -> Resamples:
        return Resamples(n, self.draws)

    def _change(self, value: Change, evidence: Evidence) -> DerivedValue:
        distances = sample_distances(value, evidence.reference, evidence.variant)
        floor = 0.0
        if evidence.floor is not None and not evidence.floor.refused:
            floor = float(_distances(value, evidence.reference[0], evidence.floor).mean())
        resamples = self._resamples(evidence.n)
        found, draws = change_and_draws(distances, resamples, count=value.count, largest=value.largest)
        scale, marks = self._scale(value, evidence, resamples, floor)
        scaled = gap_on(scale, distances, resamples, value.scale_power, value.count, floor, (found, draws))
        result = ValueResult(
            kind="change",
            unit=value.unit,
            better="none",
            n=evidence.n,
            power=value.scale_power,
            estimate=found.estimate,
            ci=_ends(found.interval),
            interval=found.interval.method,
            gap=scaled.gap,
            gap_ci=_ends(scaled.interval),
            gap_further=scaled.further,
            yardsticks=list(marks),
            yardstick_gaps=scale.gaps_of(marks, value.scale_power),
            numerical_floor=floor,
            reason=scaled.reason,
        )
        least = 0.0 if value.coupling == "common" else -value.largest
        return DerivedValue(result, scaled, lambda: draws, (least, value.largest))

    def _scale(
        self, value: Change, evidence: Evidence, resamples: Resamples, floor: float
    ) -> tuple[Scale, list[float]]:
        """The yardsticks' scale and their changes, once for all variants."""
        shown = (evidence.reference, *evidence.yardsticks)
        key = (value, evidence.n, floor, *(_keys(value, draw) for draws in shown for draw in draws))
        if key not in self._scales:
            marks = [sample_distances(value, evidence.reference, mark) for mark in evidence.yardsticks]
            table = np.array(marks).reshape(len(marks), evidence.n)
            scale = scale_of(table, resamples, count=value.count, floor=floor)
            self._scales[key] = scale, [float(mark.mean()) for mark in marks]
        return self._scales[key]

    def _figure(self, value: Quality, arrays: NetworkArrays, n: int) -> float:
        """A network's own figure."""
        key = (value, n, _keys(value, arrays))
        if key not in self._points:
            self._points[key] = value.point(arrays)
        return self._points[key]

    def _draws(self, value: Quality, arrays: NetworkArrays, n: int) -> Float:
        """The figure in each shared resample."""
        key = (value, n, _keys(value, arrays))
        if key not in self._resampled:
            self._resampled[key] = value.draws(arrays, self._resamples(n))
        return self._resampled[key]

    def _quality(self, value: Quality, evidence: Evidence) -> DerivedValue:
        reference, variant = evidence.reference[0], evidence.variant[0]
        first, second = (self._figure(value, shown, evidence.n) for shown in (reference, variant))
        marks = [self._figure(value, mark[0], evidence.n) for mark in evidence.yardsticks]
        reason = ""
        if value.better == "none":
            found = harm_without_interval(first, second, better="lower", log=value.log, yardsticks=marks)
            reason = "neither direction is worse: no harm"
        elif isinstance(value, Proportion):
            both = value.per_sample(reference), value.per_sample(variant)
            found = harm_of_proportions(*both, better=value.better, yardsticks=marks)
        elif isinstance(value, Statistic) and value.no_interval:
            found = harm_without_interval(first, second, better=value.better, log=value.log, yardsticks=marks)
            reason = value.no_interval
        else:
            resampled = (self._draws(value, shown, evidence.n) for shown in (reference, variant))
            found = harm(
                first, second, *resampled, better=value.better, log=value.log, yardsticks=marks, samples=evidence.n
            )
        result = _harm_result(value, kind_of(value, evidence), found, first, second, marks, reason)
        result.n = evidence.n
        result.own_ci = _ends(self._own_interval(value, variant, evidence.n))
        if evidence.floor is not None and not evidence.floor.refused and _absent_from(value, evidence.floor) == "":
            again = self._figure(value, evidence.floor, evidence.n)
            result.numerical_floor = abs(again - first) if math.isfinite(again - first) else None
        return DerivedValue(result, None, self._harm_draws(value, evidence, found), (-value.largest, value.largest))

    def _own_interval(self, value: Quality, arrays: NetworkArrays, n: int) -> Interval | None:
        """The interval of a network's own figure; None where no interval is known to cover."""
        if value.no_interval or not math.isfinite(self._figure(value, arrays, n)):
            return None
        if isinstance(value, Mean | Proportion):
            own = value.per_sample(arrays)
            return mean_figure(own, self._resamples(n), proportion=isinstance(value, Proportion))
        return percentile_interval(self._draws(value, arrays, n), samples=n)

    def _harm_draws(self, value: Quality, evidence: Evidence, found: Harm) -> Callable[[], Float] | None:
        """The harm in each shared resample, where it has an interval."""
        if isinstance(found.distribution, Resampled):
            draws = found.distribution.draws
            return lambda: draws
        if found.distribution is None or not isinstance(value, Mean | Proportion):
            return None
        sign = 1 if value.better == "lower" else -1
        own, other = value.per_sample(evidence.reference[0]), value.per_sample(evidence.variant[0])
        difference = sign * (other - own)
        return lambda: self._resamples(evidence.n).means(difference)


def kind_of(value: Quality, evidence: Evidence) -> Any:
    """``pair`` where the value stands on a pair probe, else its own kind."""
    pairs = {name for probe, _ in evidence.variant[0].answers if probe.pair for name in probe.arrays}
    return "pair" if pairs.intersection(names(value.of)) else value.kind


def _keys(value: Value, arrays: NetworkArrays) -> Hashable:
    """What a value is made of; equal keys, equal figures."""
    return tuple(arrays.key(name) for name in reads(value))


def _absent_from(value: Value, arrays: NetworkArrays) -> str:
    """Why a network lacks what a value is made of; empty where it has it all, or where nobody refused it."""
    return next((why for name in reads(value) if (why := arrays.refusal(name))), "")


def _absent(value: Value, evidence: Evidence) -> str:
    """Why a value does not exist in this cell; costs say it themselves."""
    if isinstance(value, Cost):
        return ""
    for role, draws in (("variant", evidence.variant), ("reference", evidence.reference)):
        if why := _absent_from(value, draws[0]):
            return f"{role}: {why}"
    return ""


def _null(value: Value, reason: str) -> ValueResult:
    better = "none" if isinstance(value, Change) else value.better
    return ValueResult(kind=value.kind, unit=value.unit, better=better, reason=reason)


def _harm_result(
    value: Quality, kind: Any, found: Harm, first: float, second: float, marks: list[float], reason: str
) -> ValueResult:
    return ValueResult(
        kind=kind,
        unit=value.unit,
        better=value.better,
        reference=first,
        variant=second,
        estimate=None if value.better == "none" else found.estimate,
        ci=_ends(found.interval),
        interval=found.interval.method,
        seed_ratio=found.seed_ratio,
        yardsticks=list(marks),
        p_value=found.p_value,
        reason=reason or found.reason,
    )


def _distances(value: Change, first: NetworkArrays, second: NetworkArrays) -> Float:
    """Distances (n,) between two networks; of a pair probe what it found between the reference and the second."""
    of = names(value.of)
    if value.distance is None:
        return np.asarray(second[of[0]], dtype=np.float64)
    both = [*(first[name] for name in of), *(second[name] for name in of)]
    return np.asarray(by_rows(value.distance, both), dtype=np.float64)


def sample_distances(value: Change, first: Sequence[NetworkArrays], second: Sequence[NetworkArrays]) -> Float:
    """Per-sample distances (n,), or contributions to the independent-draw estimate."""
    if value.coupling == "common":
        return _distances(value, first[0], second[0])
    return independent_change(
        _distances(value, first[0], second[1]),
        _distances(value, first[0], first[1]),
        _distances(value, second[0], second[1]),
    )


def _ends(interval: Interval | None) -> tuple[float | None, float | None] | None:
    if interval is None or interval.method == "none":
        return None
    return (interval.low, interval.high)


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None or below <= 0 else above / below


def _bound(value: Bound, evidence: Evidence) -> ValueResult:
    """The interval in which the true ratio variant / reference lies; no sampling interval."""
    first, second = (
        value.figures(*(draws[0][name] for name in names(value.of))) for draws in (evidence.reference, evidence.variant)
    )
    ratio = (_ratio(second.lower, first.upper), _ratio(second.upper, first.lower))
    lower_only = value.evidence == "lower"
    return ValueResult(
        kind="bound",
        unit=value.unit,
        better=value.better,
        n=evidence.n if lower_only else None,
        reference=first.lower if lower_only else first.upper,
        variant=second.lower if lower_only else second.upper,
        reason="" if None not in ratio else "one-sided bounds leave the ratio open",
        bound=BoundInfo(kind=value.evidence, norm=value.norm, domain=value.domain, ratio=ratio),
    )


def _cost(value: Cost, evidence: Evidence) -> ValueResult:
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


def describe_parity(evidence: Evidence) -> dict[str, Any] | None:
    """How far the differentiable views of both networks are from what runs; None where none was used."""
    shown = {"reference": evidence.reference[0].notes.get("parity"), "variant": evidence.variant[0].notes.get("parity")}
    return {name: figures for name, figures in shown.items() if figures is not None} or None


def describe_details(evidence: Evidence, describe: Callable[[NetworkArrays], dict[str, Any]]) -> dict[str, Any]:
    """What probes noted of both networks, and the metric's own diagnostics."""
    details = {}
    for role, arrays in (("reference", evidence.reference[0]), ("variant", evidence.variant[0])):
        noted = {name: told for name, told in arrays.notes.items() if name not in ("parity", "why")}
        details[role] = {**noted, **describe(arrays)}
    return {role: shown for role, shown in details.items() if shown}

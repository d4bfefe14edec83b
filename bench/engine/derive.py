"""From observations to a cell's values: every interval, gap and harm comes from ``stats``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bench.engine.observations import Observed
from bench.metrics.base import Bound, Change, Cost, Float, Pair, Quality, Value
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
    """The observations of a cell, by draw; what need not be made beside a skipped network is not in it."""

    reference: Sequence[Observed]
    variant: Sequence[Observed]
    yardsticks: Sequence[Sequence[Observed]]
    floor: Observed | None
    n: int

    @property
    def skipped(self) -> tuple[str, Observed] | None:
        """Which of the two networks has no figures here, the variant first."""
        for role, observed in (("variant", self.variant), ("reference", self.reference)):
            if observed and observed[0].status == "skipped":
                return role, observed[0]
        return None


class Derived(NamedTuple):
    """A value, its gap for the family alarm, and its resampled estimates for the recipe scope."""

    result: ValueResult
    gap: Gap | None = None
    draws: Callable[[], Float] | None = None  # (B,), over the shared resamples
    limits: tuple[float, float] = (-math.inf, math.inf)  # what the estimate can be


@dataclass
class Derivation:
    """Derives values; own figures of references and yardsticks are computed once and reused for every variant."""

    draws: int = DRAWS
    _points: dict[tuple[int, str], float] = field(default_factory=dict)
    _resampled: dict[tuple[int, str], Float] = field(default_factory=dict)
    _scales: dict[tuple[int, str], tuple[Scale, list[float]]] = field(default_factory=dict)
    _kept: list[Observed] = field(default_factory=list)  # keeps ids of memoised observations alive

    def value(self, value: Value, evidence: Evidence) -> Derived:
        """One value of a cell, with what alarms and replicates build on."""
        if isinstance(value, Change):
            return self._change(value, evidence)
        if isinstance(value, Quality | Pair):
            return self._quality(value, evidence)
        return Derived(_bound(value, evidence) if isinstance(value, Bound) else _cost(value, evidence))

    def _resamples(self, n: int) -> Resamples:
        return Resamples(n, self.draws)

    def _change(self, value: Change, evidence: Evidence) -> Derived:
        own = evidence.reference
        distances = sample_distances(value, own, evidence.variant)
        floor = 0.0
        if evidence.floor is not None and evidence.floor.status == "ok":
            floor = float(value.distance(own[0].arrays, evidence.floor.arrays).mean())
        resamples = self._resamples(evidence.n)
        found, draws = change_and_draws(distances, resamples, count=value.count, largest=value.largest)
        scale, marks = self._scale(value, evidence, resamples, floor)
        power = 2 if value.coupling == "independent" else value.power
        scaled = gap_on(scale, distances, resamples, power, value.count, floor, (found, draws))
        result = ValueResult(
            kind="change",
            unit=value.unit,
            better="none",
            estimate=found.estimate,
            ci=_ends(found.interval),
            interval=found.interval.method,
            gap=scaled.gap,
            gap_ci=_ends(scaled.interval),
            gap_further=scaled.further,
            yardsticks=list(marks),
            numerical_floor=floor,
            reason=scaled.reason,
        )
        least = 0.0 if value.coupling == "common" else -value.largest
        return Derived(result, scaled, lambda: draws, (least, value.largest))

    def _scale(
        self, value: Change, evidence: Evidence, resamples: Resamples, floor: float
    ) -> tuple[Scale, list[float]]:
        """The yardsticks' scale and their changes, once for all variants."""
        place = (id(evidence.reference[0]), value.name)
        if place not in self._scales:
            marks = [sample_distances(value, evidence.reference, mark) for mark in evidence.yardsticks]
            table = np.array(marks).reshape(len(marks), evidence.n)
            scale = scale_of(table, resamples, count=value.count, floor=floor)
            self._scales[place] = scale, [float(mark.mean()) for mark in marks]
            self._kept.append(evidence.reference[0])
        return self._scales[place]

    def _figure(self, value: Quality | Pair, observed: Observed, n: int) -> float:
        """A network's own figure."""
        place = (id(observed), value.name)
        if place not in self._points:
            self._points[place] = float(value.statistic(observed.arrays, np.ones((1, n)))[0])
            self._kept.append(observed)
        return self._points[place]

    def _draws(self, value: Quality | Pair, observed: Observed, n: int) -> Float:
        """The figure in each shared resample."""
        place = (id(observed), value.name)
        if place not in self._resampled:
            self._resampled[place] = value.draws(observed.arrays, self._resamples(n))
            self._kept.append(observed)
        return self._resampled[place]

    def _quality(self, value: Quality | Pair, evidence: Evidence) -> Derived:
        reference, variant = evidence.reference[0], evidence.variant[0]
        first, second = (self._figure(value, shown, evidence.n) for shown in (reference, variant))
        marks = [self._figure(value, mark[0], evidence.n) for mark in evidence.yardsticks]
        log = isinstance(value, Quality) and value.log
        reason = ""
        if value.better == "none":
            found = harm_without_interval(first, second, better="lower", log=log, yardsticks=marks)
            reason = "neither direction is worse: no harm"
        elif isinstance(value, Quality) and value.interval == "score":
            assert value.per_sample is not None
            found = harm_of_proportions(
                value.per_sample(reference.arrays),
                value.per_sample(variant.arrays),
                better=value.better,
                yardsticks=marks,
            )
        elif isinstance(value, Quality) and value.interval == "none":
            found = harm_without_interval(first, second, better=value.better, log=log, yardsticks=marks)
            reason = value.why_no_interval
        else:
            resampled = (self._draws(value, shown, evidence.n) for shown in (reference, variant))
            found = harm(first, second, *resampled, better=value.better, log=log, yardsticks=marks, samples=evidence.n)
        result = _harm_result(value, found, first, second, marks, reason)
        result.own_ci = _ends(self._own_interval(value, variant, evidence.n))
        if evidence.floor is not None and evidence.floor.status == "ok" and isinstance(value, Quality):
            again = self._figure(value, evidence.floor, evidence.n)
            result.numerical_floor = abs(again - first) if math.isfinite(again - first) else None
        largest = value.largest if isinstance(value, Quality) else math.inf
        return Derived(result, None, self._harm_draws(value, evidence, found), (-largest, largest))

    def _own_interval(self, value: Quality | Pair, observed: Observed, n: int) -> Interval | None:
        """The interval of a network's own figure; None where no interval is known to cover."""
        if isinstance(value, Quality) and value.interval == "none":
            return None
        if not math.isfinite(self._figure(value, observed, n)):
            return None
        if isinstance(value, Quality) and value.per_sample is not None:
            own = value.per_sample(observed.arrays)
            return mean_figure(own, self._resamples(n), proportion=value.interval == "score")
        return percentile_interval(self._draws(value, observed, n), samples=n)

    def _harm_draws(self, value: Quality | Pair, evidence: Evidence, found: Harm) -> Callable[[], Float] | None:
        """The harm in each shared resample, where it has an interval."""
        if isinstance(found.distribution, Resampled):
            draws = found.distribution.draws
            return lambda: draws
        if found.distribution is None or not isinstance(value, Quality) or value.per_sample is None:
            return None
        sign = 1 if value.better == "lower" else -1
        own, other = value.per_sample(evidence.reference[0].arrays), value.per_sample(evidence.variant[0].arrays)
        difference = sign * (np.asarray(other, dtype=np.float64) - np.asarray(own, dtype=np.float64))
        return lambda: self._resamples(evidence.n).means(difference)


def _harm_result(
    value: Quality | Pair, found: Harm, first: float, second: float, marks: list[float], reason: str
) -> ValueResult:
    return ValueResult(
        kind=value.kind,
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


def sample_distances(value: Change, first: Sequence[Observed], second: Sequence[Observed]) -> Float:
    """Per-sample distances (n,), or contributions to the independent-draw estimate."""
    if value.coupling == "common":
        return np.asarray(value.distance(first[0].arrays, second[0].arrays), dtype=np.float64)
    return independent_change(
        value.distance(first[0].arrays, second[1].arrays),
        value.distance(first[0].arrays, first[1].arrays),
        value.distance(second[0].arrays, second[1].arrays),
    )


def _ends(interval: Interval | None) -> tuple[float | None, float | None] | None:
    if interval is None or interval.method == "none":
        return None
    return (interval.low, interval.high)


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None or below <= 0 else above / below


def _bound(value: Bound, evidence: Evidence) -> ValueResult:
    """The interval in which the true ratio variant / reference lies; no sampling interval."""
    first, second = value.figures(evidence.reference[0].arrays), value.figures(evidence.variant[0].arrays)
    ratio = (_ratio(second.lower, first.upper), _ratio(second.upper, first.lower))
    lower_only = value.evidence == "lower"
    return ValueResult(
        kind="bound",
        unit=value.unit,
        better=value.better,
        reference=first.lower if lower_only else first.upper,
        variant=second.lower if lower_only else second.upper,
        reason="" if None not in ratio else "one-sided bounds leave the ratio open",
        bound=BoundInfo(kind=value.evidence, norm=value.norm, domain=value.domain, ratio=ratio),
    )


def _cost(value: Cost, evidence: Evidence) -> ValueResult:
    """Each network's own figure, and their ratio; of timings only where both were taken in turn."""
    shown = evidence.variant[0].arrays
    second = value.figure(shown)
    first = value.figure(evidence.reference[0].arrays) if value.reference is None else value.reference(shown)
    ratio = _ratio(second, first)
    reason = "" if ratio is not None else "not known for both networks"
    if reason and value.why is not None:
        roles = {"reference": evidence.reference[0].arrays, "variant": shown}
        why = [f"{role}: {told}" for role, arrays in roles.items() if (told := value.why(arrays))]
        reason = "; ".join(why) or reason
    return ValueResult(
        kind="cost",
        unit=value.unit,
        better=value.better,
        reference=first,
        variant=second,
        estimate=ratio,
        reason=reason,
    )


def describe_parity(evidence: Evidence) -> dict[str, Any] | None:
    """How far the differentiable views of both networks are from what runs; None where none was used."""
    shown = {"reference": evidence.reference[0].parity, "variant": evidence.variant[0].parity}
    return {name: figures for name, figures in shown.items() if figures is not None} or None


def describe_details(evidence: Evidence) -> dict[str, Any]:
    """The metric's own diagnostics of both networks."""
    details = {"reference": evidence.reference[0].details, "variant": evidence.variant[0].details}
    return {name: shown for name, shown in details.items() if shown}

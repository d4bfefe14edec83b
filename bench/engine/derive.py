"""Values of a cell derived from observations: every interval, gap and harm comes from ``stats``."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.engine.arrays import NetworkArrays
from bench.engine.evidence import Evidence, absent, absent_from, floor_of, keys_of, sample_distances
from bench.engine.single_figures import bound_result, cost_result, worst_class_result
from bench.errors import NotApplicable
from bench.metrics.values import REFERENCE, Bound, Change, Float, Mean, Proportion, Quality, Statistic, Value, names
from bench.results import ValueResult
from bench.stats.change import change_and_draws
from bench.stats.figure import mean_figure
from bench.stats.gap import Gap, gap_on
from bench.stats.harm import Harm, Resampled, harm, harm_of_proportions, harm_without_interval, harms
from bench.stats.interval import NO_INTERVAL, Interval
from bench.stats.mean import change_vectors
from bench.stats.percentile import percentile_interval
from bench.stats.resampling import Resamples
from bench.stats.tail import no_tail_interval
from bench.stats.yardstick import Scale, scale_of

DRAWS = 10_000


class DerivedValue(NamedTuple):
    """A value, its gap for the family alarm, and its resampled estimates for the recipe scope."""

    result: ValueResult
    gap: Gap | None = None
    draws: Callable[[], Float] | None = None  # (B,), over the shared resamples
    limits: tuple[float, float] = (-math.inf, math.inf)  # what the estimate can be
    events: Callable[[], Float] | None = None  # of a count: -1, 0 or 1 of each sample; the estimate is their mean


@dataclass
class Derivation:
    """Derives values; own figures of references and yardsticks are computed once and reused for every variant."""

    draws: int = DRAWS
    _points: dict[Hashable, float] = field(default_factory=dict)
    _resampled: dict[Hashable, Float] = field(default_factory=dict)
    _intervals: dict[Hashable, tuple[float | None, float | None] | None] = field(default_factory=dict)
    _scales: dict[Hashable, tuple[Scale, list[float]]] = field(default_factory=dict)

    def values(self, declared: Sequence[Value], evidence: Evidence) -> dict[str, DerivedValue]:
        """Every value of a cell; all that they resample comes out of one pass over the resamples."""
        resamples = Resamples(evidence.n, self.draws).ahead(*self.resampled_later(declared, evidence))
        return {value.name: self.value(value, evidence, resamples) for value in declared}

    def resampled_later(
        self, declared: Sequence[Value], evidence: Evidence
    ) -> tuple[list[NDArray[Any]], list[tuple[Any, ...]]]:
        """The vectors whose resampled means a cell needs, and its statistics, for ``Resamples.ahead``."""
        vectors: list[NDArray[Any]] = []
        statistics: list[tuple[Any, ...]] = []
        for value in declared:
            if not absent(value, evidence):
                with contextlib.suppress(NotApplicable):
                    more = self._resampled_later(value, evidence)
                    vectors += more[0]
                    statistics += more[1]
        return vectors, statistics

    def _resampled_later(self, value: Value, evidence: Evidence) -> tuple[list[NDArray[Any]], list[tuple[Any, ...]]]:
        both = evidence.reference[0], evidence.variant[0]
        if isinstance(value, Change) and (value.where or value.summary == "worst class"):
            return [], []  # other samples, or nothing resampled
        if isinstance(value, Change):
            tables = [sample_distances(value, evidence.reference, evidence.variant)]
            if self._scale_key(value, evidence) not in self._scales:
                tables += [sample_distances(value, evidence.reference, mark) for mark in evidence.yardsticks]
            return [change_vectors(table, count=value.count) for table in tables], []
        if not isinstance(value, Mean | Statistic) or value.no_interval:
            return [], []
        if isinstance(value, Statistic) and value.without_interval(*both):
            return [], []  # nothing is drawn, or one network's own figure alone
        new = [arrays for arrays in both if self._key(value, arrays, evidence.n) not in self._resampled]
        if isinstance(value, Statistic):
            return value.asked_ahead(new, both, self.draws)
        own = [arrays for arrays in both if self._key(value, arrays, evidence.n) not in self._intervals]
        intervals = [change_vectors(value.per_sample(arrays)) for arrays in own]
        return [*(value.per_sample(arrays) for arrays in new), *intervals], []

    def value(self, value: Value, evidence: Evidence, resamples: Resamples | None = None) -> DerivedValue:
        """One value of a cell, with what alarms and replicates build on."""
        reason = absent(value, evidence)
        if reason:
            return DerivedValue(_null(value, reason))
        resamples = resamples or Resamples(evidence.n, self.draws)
        try:
            if isinstance(value, Change):
                return self._change(value, evidence, resamples)
            if isinstance(value, Mean | Proportion | Statistic):
                return self._quality(value, evidence, resamples)
        except NotApplicable as error:
            return DerivedValue(_null(value, str(error)))
        single = bound_result(value, evidence) if isinstance(value, Bound) else cost_result(value, evidence)
        return DerivedValue(single)

    def _change(self, value: Change, evidence: Evidence, resamples: Resamples) -> DerivedValue:
        distances = sample_distances(value, evidence.reference, evidence.variant)
        if not distances.size:
            return DerivedValue(_null(value, f"no sample is {value.where.removeprefix(REFERENCE)}"))
        if value.summary == "worst class":
            return DerivedValue(worst_class_result(value, distances, evidence))
        if distances.size != resamples.n:
            resamples = Resamples(distances.size, self.draws)
        floor = floor_of(value, evidence)
        change, draws = change_and_draws(distances, resamples, count=value.count, largest=value.largest)
        scale, marks = self._scale(value, evidence, resamples, floor)
        scaled = gap_on(scale, distances, resamples, value.scale_power, value.count, floor, (change, draws))
        if value.summary == "worst 5 %" and (why := no_tail_interval(distances.size)):
            change, scaled = change._replace(interval=NO_INTERVAL), scaled.as_point(why)
        result = ValueResult(
            kind="change",
            unit=value.unit,
            better="none",
            n=distances.size,
            power=value.scale_power,
            estimate=change.estimate,
            ci=_ends(change.interval),
            interval=change.interval.method,
            gap=scaled.gap,
            gap_ci=_ends(scaled.interval),
            gap_further=scaled.further,
            yardsticks=list(marks),
            yardstick_gaps=scale.gaps_of(marks, value.scale_power),
            numerical_floor=floor,
            reason=scaled.reason,
        )
        least = 0.0 if value.coupling == "common" else -value.largest
        events = (lambda: distances) if value.count else None
        return DerivedValue(result, scaled, lambda: draws, (least, value.largest), events)

    def _scale(
        self, value: Change, evidence: Evidence, resamples: Resamples, floor: float
    ) -> tuple[Scale, list[float]]:
        """The yardsticks' scale and their changes, once for all variants."""
        key = self._scale_key(value, evidence)
        if key not in self._scales:
            marks = [sample_distances(value, evidence.reference, mark) for mark in evidence.yardsticks]
            table = np.array(marks).reshape(len(marks), resamples.n)
            scale = scale_of(table, resamples, count=value.count, floor=floor)
            self._scales[key] = scale, [float(mark.mean()) for mark in marks]
        return self._scales[key]

    def _scale_key(self, value: Change, evidence: Evidence) -> Hashable:
        """The key of all that a scale is made of."""
        networks = (evidence.reference, *evidence.yardsticks, () if evidence.floor is None else (evidence.floor,))
        return (value, evidence.n, *(tuple(keys_of(value, draw) for draw in draws) for draws in networks))

    def _key(self, value: Quality, arrays: NetworkArrays, n: int) -> Hashable:
        """The key of all that a figure is made of."""
        return (value, n, keys_of(value, arrays))

    def _figure(self, value: Quality, arrays: NetworkArrays, n: int) -> float:
        """A network's own figure."""
        key = self._key(value, arrays, n)
        if key not in self._points:
            self._points[key] = value.point(arrays)
        return self._points[key]

    def _draws(self, value: Quality, arrays: NetworkArrays, resamples: Resamples) -> Float:
        """The figure in each shared resample."""
        key = self._key(value, arrays, resamples.n)
        if key not in self._resampled:
            self._resampled[key] = value.draws(arrays, resamples)
        return self._resampled[key]

    def _both_draws(
        self, value: Quality, reference: NetworkArrays, variant: NetworkArrays, resamples: Resamples
    ) -> tuple[Float, Float]:
        """Two networks' figures in each shared resample."""
        if isinstance(value, Statistic) and value.paired:
            return value.paired_draws(reference, variant, resamples)
        return self._draws(value, reference, resamples), self._draws(value, variant, resamples)

    def harm_draws(
        self, value: Quality, pairs: Sequence[tuple[NetworkArrays, NetworkArrays]], n: int
    ) -> Iterator[Float]:
        """The harm of each (reference, variant) in the shared resamples of n samples, (B,) each, from one pass.

        Not finite where a figure does not exist.
        """
        vectors: list[NDArray[Any]] = []
        statistics: list[tuple[Any, ...]] = []
        for both in pairs:
            new = [arrays for arrays in both if self._key(value, arrays, n) not in self._resampled]
            if isinstance(value, Statistic):
                more = value.asked_ahead(new, both, self.draws)
                vectors += more[0]
                statistics += more[1]
            else:
                vectors += [value.per_sample(arrays) for arrays in new]
        resamples = Resamples(n, self.draws).ahead(vectors, statistics)
        for both in pairs:
            yield harms(*self._both_draws(value, *both, resamples), better=value.better, log=value.log)

    def _quality(self, value: Quality, evidence: Evidence, resamples: Resamples) -> DerivedValue:
        reference, variant = evidence.reference[0], evidence.variant[0]
        first, second = (self._figure(value, arrays, evidence.n) for arrays in (reference, variant))
        marks = [self._figure(value, mark[0], evidence.n) for mark in evidence.yardsticks]
        reason = ""
        if value.better == "none":
            measured = harm_without_interval(first, second, better="lower", log=value.log, yardsticks=marks)
            reason = "neither direction is worse: no harm"
            if isinstance(value, Statistic) and not math.isfinite(second):
                reason = value.undefined or reason
        elif isinstance(value, Proportion):
            both = value.per_sample(reference), value.per_sample(variant)
            measured = harm_of_proportions(*both, better=value.better, yardsticks=marks)
        elif isinstance(value, Statistic) and (reason := value.without_interval(reference, variant)):
            measured = harm_without_interval(first, second, better=value.better, log=value.log, yardsticks=marks)
        else:
            resampled = self._both_draws(value, reference, variant, resamples)
            measured = harm(
                first, second, *resampled, better=value.better, log=value.log, yardsticks=marks, samples=evidence.n
            )
        result = _harm_result(value, kind_of(value, evidence), measured, first, second, marks, reason)
        result.n = evidence.n
        result.reference_ci = self._own_interval(value, reference, resamples)
        result.own_ci = self._own_interval(value, variant, resamples)
        if evidence.floor is not None and not evidence.floor.refused and absent_from(value, evidence.floor) == "":
            again = self._figure(value, evidence.floor, evidence.n)
            result.numerical_floor = abs(again - first) if math.isfinite(again - first) else None
        events = None
        if isinstance(value, Proportion) and value.better != "none":
            events = partial(harms, value.per_sample(reference), value.per_sample(variant), better=value.better)
        drawn = self._harm_draws(value, evidence, measured, resamples)
        return DerivedValue(result, None, drawn, (-value.largest, value.largest), events)

    def _own_interval(
        self, value: Quality, arrays: NetworkArrays, resamples: Resamples
    ) -> tuple[float | None, float | None] | None:
        """The ends of the interval of a network's own figure; None where no interval is known to cover."""
        key = self._key(value, arrays, resamples.n)
        if key not in self._intervals:
            self._intervals[key] = _ends(self._interval(value, arrays, resamples))
        return self._intervals[key]

    def _interval(self, value: Quality, arrays: NetworkArrays, resamples: Resamples) -> Interval | None:
        if value.no_interval or not math.isfinite(self._figure(value, arrays, resamples.n)):
            return None
        if isinstance(value, Statistic) and value.without_interval(arrays):
            return None
        if isinstance(value, Mean | Proportion):
            own = value.per_sample(arrays)
            return mean_figure(own, resamples, proportion=isinstance(value, Proportion))
        interval = percentile_interval(self._draws(value, arrays, resamples), samples=resamples.n)
        return interval.within(value.least, value.most)

    def _harm_draws(
        self, value: Quality, evidence: Evidence, measured: Harm, resamples: Resamples
    ) -> Callable[[], Float] | None:
        """The harm in each shared resample, where it has an interval."""
        if isinstance(measured.distribution, Resampled):
            draws = measured.distribution.draws
            return lambda: draws
        if measured.distribution is None or not isinstance(value, Mean | Proportion):
            return None
        own, other = value.per_sample(evidence.reference[0]), value.per_sample(evidence.variant[0])
        difference = harms(own, other, better=value.better)
        return lambda: Resamples(resamples.n, resamples.draws).means(difference)


def kind_of(value: Quality, evidence: Evidence) -> Any:
    """``pair`` where the value stands on a pair probe, else its own kind."""
    pairs = {name for probe, _ in evidence.variant[0].answers if probe.pair for name in probe.arrays}
    return "pair" if pairs.intersection(names(value.of)) else value.kind


def _null(value: Value, reason: str) -> ValueResult:
    better = "none" if isinstance(value, Change) else value.better
    return ValueResult(kind=value.kind, unit=value.unit, better=better, reason=reason)


def _harm_result(
    value: Quality, kind: Any, measured: Harm, first: float, second: float, marks: list[float], reason: str
) -> ValueResult:
    return ValueResult(
        kind=kind,
        unit=value.unit,
        better=value.better,
        reference=_known(first),
        variant=_known(second),
        estimate=None if value.better == "none" else measured.estimate,
        ci=_ends(measured.interval),
        interval=measured.interval.method,
        seed_ratio=measured.seed_ratio,
        yardsticks=[_known(mark) for mark in marks],
        p_value=measured.p_value,
        reason=reason or measured.reason,
    )


def _known(figure: float) -> float | None:
    """A figure; None where a network has none."""
    return figure if math.isfinite(figure) else None


def _ends(interval: Interval | None) -> tuple[float | None, float | None] | None:
    if interval is None or interval.method == "none":
        return None
    return (interval.low, interval.high)

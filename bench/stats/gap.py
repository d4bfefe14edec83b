"""Gap: change on the yardsticks' scale; 0 is the same function, 1 as different as a retrained network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, hypot, inf, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import FEW, Change, change_and_draws
from bench.stats.interval import LEVEL, NO_INTERVAL, Interval
from bench.stats.mean import change_vectors, checked
from bench.stats.quantiles import normal_quantile
from bench.stats.resampling import Float, Resamples
from bench.stats.yardstick import NEEDED, Power, Scale, log_error, log_limits, positive, scale_of


@dataclass(frozen=True, eq=False)
class Gap:
    """A gap, or the reason why there is none; the lower part is what the family alarm needs.

    >>> measured = Gap(1.2, Interval(0.9, 1.6, "t"), sampling=0.3, spread=0.8, yardsticks=4)
    >>> measured.yardstick_error, measured.error  # 0.8 / sqrt(4), hypot(0.3, 0.4)
    (0.4, 0.5)
    >>> round(measured.further_spread, 4), round(measured.further_error, 4)  # 0.8 sqrt(5 / 4)
    (0.8944, 0.9434)
    """

    gap: float | None  # None: undefined, or an upper limit only
    interval: Interval  # low None: an upper limit only
    reason: str = ""
    log_estimate: float | None = None  # log of the ratio of changes: power times log gap
    deviations: Float | None = None  # resampled log-ratio minus its estimate, (B,)
    sampling: float = 0.0  # SE of the log-ratio over samples, towards 0
    spread: float = 0.0  # s of the yardsticks' log changes
    yardsticks: int = 0  # k
    power: Power = 1
    further: float | None = None  # lower limit beside one further yardstick

    @property
    def error(self) -> float:
        """Standard error of the log-ratio to the yardsticks' mean: sqrt(SE^2 + s^2 / k)."""
        return hypot(self.sampling, self.yardstick_error)

    @property
    def yardstick_error(self) -> float:
        """The part of ``error`` that comes from the yardsticks: s / sqrt(k)."""
        return self.spread / sqrt(self.yardsticks)

    @property
    def further_error(self) -> float:
        """Standard error of the log-ratio to one further yardstick: sqrt(SE^2 + s^2 (1 + 1/k))."""
        return hypot(self.sampling, self.further_spread)

    @property
    def further_spread(self) -> float:
        """The part of ``further_error`` that comes from the yardsticks: s sqrt(1 + 1/k)."""
        return self.spread * sqrt(1 + 1 / self.yardsticks)

    def as_point(self, reason: str) -> Gap:
        """The point alone, with the reason: no limits, and no part in an alarm.

        >>> Gap(1.2, Interval(0.9, 1.6, "t"), further=0.8).as_point("too few samples").interval.method
        'none'
        """
        return replace(self, interval=NO_INTERVAL, reason=reason, deviations=None, further=None)


def gap(
    variant: NDArray[Any],
    yardsticks: NDArray[Any],
    resamples: Resamples,
    *,
    power: Power,
    count: bool = False,
    floor: float = 0.0,
) -> Gap:
    """Gap of a variant: (mean distance / geometric mean of the yardsticks' mean distances)^(1/p).

    Interval on the log: +- t(k-1) sqrt(SE^2 + s^2/k) / p, with SE the bootstrap error of the log-ratio over shared
    resamples and s the spread of the yardsticks' log changes; conservative, since s holds sampling noise too. It says
    how far the variant is beside the *average* yardstick. ``further`` is the lower limit beside *one further* one, by
    -t(k-1) sqrt(SE^2 + s^2 (1 + 1/k)) / p: above 1 for at most 2.5 % of such networks themselves.
    Undefined, with the reason, unless every yardstick differs from the reference beyond the floor (counts: in ten
    samples altogether); an upper limit only where the variant itself does not; below four yardsticks a point alone.

    Args:
        variant: Distances of the variant from the reference, (n,).
        yardsticks: Distances of each yardstick from the reference, (k, n); k may be 0.
        resamples: Of n samples: the ones used for everything else.
        power: 1 for distances, 2 for squared ones (and for all of independent draws).
        count: Distances are events of 0 or 1.
        floor: Mean distance that arithmetic alone brings about.

    Raises:
        ValueError: If shapes disagree, distances are not finite, or a count is not 0 or 1.

    >>> measured = gap(np.full(3, 2.0), np.full((4, 3), 8.0), Resamples.of(np.ones((5, 3))), power=2)
    >>> round(measured.gap, 6)  # (2 / 8)^(1/2)
    0.5
    """
    resamples = resamples.ahead(change_vectors(row, count=count) for row in (variant, *yardsticks))
    return gap_on(scale_of(yardsticks, resamples, count=count, floor=floor), variant, resamples, power, count, floor)


def gap_on(
    scale: Scale,
    variant: NDArray[Any],
    resamples: Resamples,
    power: Power,
    count: bool = False,
    floor: float = 0.0,
    known: tuple[Change, Float] | None = None,
) -> Gap:
    """Gap on a scale made before with ``scale_of`` from the same resamples; see ``gap``.

    Args:
        scale: Of the yardsticks.
        variant: Distances of the variant from the reference, (n,).
        resamples: Of n samples: those that the scale was made from.
        power: 1 for distances, 2 for squared ones.
        count: Distances are events of 0 or 1.
        floor: Mean distance that arithmetic alone brings about.
        known: The variant's ``change_and_draws`` over these resamples, where it is at hand.

    Raises:
        ValueError: If distances are not finite, or a count is not 0 or 1.

    >>> resamples = Resamples.of(np.ones((5, 3)))
    >>> round(gap_on(scale_of(np.full((4, 3), 8.0), resamples), np.full(3, 2.0), resamples, 1).gap, 6)  # 2 / 8
    0.25
    """
    values = checked(variant)
    if scale.reason:
        return Gap(None, NO_INTERVAL, scale.reason, power=power)
    (delta, interval), means = known or change_and_draws(values, resamples, count=count)
    if interval.low is None or interval.low <= floor or delta <= 0:
        return _upper_limit(scale, interval, power, floor)
    estimate = log(delta) - scale.log_mean
    point = exp(estimate / power)
    if scale.count < NEEDED:
        reason = f"{scale.count} yardsticks: an interval needs {NEEDED}"
        return Gap(point, NO_INTERVAL, reason, estimate, yardsticks=scale.count, power=power)
    deviations, low_error, high_error = _sampling(values, delta, interval, means, scale)
    low, high = scale.error(low_error), scale.error(high_error)
    limits = Interval(
        exp((estimate - scale.quantile * low) / power), exp((estimate + scale.quantile * high) / power), "t"
    )
    measured = Gap(point, limits, "", estimate, deviations, low_error, scale.spread, scale.count, power)
    return replace(measured, further=exp((estimate - scale.quantile * measured.further_error) / power))


def _sampling(
    values: Float, delta: float, interval: Interval, means: Float, scale: Scale
) -> tuple[Float, float, float]:
    """Resampled deviations of the log-ratio, and its sampling error towards lower and higher values.

    Below ten samples that differ, the logarithm of a resampled mean is too coarse (and often log 0): the
    exact limits of the variant's change give the errors, and the deviations are stretched to the lower one.
    """
    logs = np.log(positive(means))
    deviations = logs - log(delta) - (scale.log_draws - scale.log_mean)
    error = log_error(deviations, bool(means.min() <= 0))
    if np.count_nonzero(values) >= FEW:
        return deviations, error, error
    z = normal_quantile((1 + LEVEL) / 2)
    shared = float(np.std(scale.log_draws))
    low, high = (float(np.hypot(side / z, shared)) for side in log_limits(interval, delta))
    centred = deviations - deviations.mean()
    width = float(np.std(centred))
    return centred * (low / width if width > 0 else 1.0), low, high


def _upper_limit(scale: Scale, interval: Interval, power: Power, floor: float) -> Gap:
    """The upper limit of a gap whose change is not beyond the floor.

    Upper limit of the change (at least the floor) over the lower limit of the yardsticks' geometric mean.
    """
    reason = f"the change does not exceed the numerical floor {floor:.3g}: an upper limit only"
    if scale.count < NEEDED:
        reason = f"{reason}, which needs {NEEDED} yardsticks (here {scale.count})"
        return Gap(None, NO_INTERVAL, reason, yardsticks=scale.count, power=power)
    upper = max(inf if interval.high is None else interval.high, floor)
    margin = scale.quantile * scale.error(float(np.std(scale.log_draws)))
    high = exp((log(upper) - scale.log_mean + margin) / power) if upper > 0 else 0.0
    return Gap(None, Interval(None, high, interval.method), reason, yardsticks=scale.count, power=power)

"""The yardsticks' side of the scale: how far retrained networks are from the reference, and how well that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import FEW, Change, change_and_draws, events
from bench.stats.interval import LEVEL, Interval
from bench.stats.mean import change_vectors
from bench.stats.quantiles import normal_quantile, t_quantile
from bench.stats.resampling import Float, Resamples

NEEDED = 4  # yardsticks for an interval: below, t(k - 1) is wider than any use

Power = Literal[1, 2]


@dataclass(frozen=True, eq=False)
class Scale:
    """The scale that a gap divides by; the same for every variant, so it may be made once a metric.

    ``reason`` says why there is no scale; the other fields mean nothing then.

    >>> scale = Scale(log(4.0), np.zeros(0), 0.8, 4)
    >>> round(scale.quantile, 4), scale.error(0.3)  # t(3); hypot(0.3, 0.8 / sqrt(4))
    (3.1824, 0.5)
    """

    log_mean: float  # mean over yardsticks of log change: the log of their geometric mean
    log_draws: Float  # the same in each resample, (B,)
    spread: float  # standard deviation of the log changes, k - 1 degrees of freedom; NaN below two
    count: int  # yardsticks k
    reason: str = ""

    @property
    def quantile(self) -> float:
        """Student's t(k - 1) at 97.5 %."""
        return t_quantile((1 + LEVEL) / 2, self.count - 1)

    def gaps_of(self, changes: Sequence[float], power: Power) -> list[float]:
        """The gap of each yardstick on this scale, (change / geometric mean)^(1/p); none where there is no scale.

        >>> [round(each, 6) for each in Scale(log(4.0), np.zeros(0), 0.5, 2).gaps_of([1.0, 16.0], 2)]
        [0.5, 2.0]
        """
        return [] if self.reason else [exp((log(each) - self.log_mean) / power) for each in changes]

    def error(self, sampling: float) -> float:
        """Standard error of a log-ratio: sqrt(SE^2 + s^2 / k)."""
        return sqrt(sampling**2 + self.spread**2 / self.count)


def positive(draws: Float) -> Float:
    """Draws (B,) of a mean, those at or below 0 raised to the smallest positive one, so that a logarithm exists.

    >>> positive(np.array([0.0, 0.5, 2.0])).tolist(), positive(np.zeros(2)).tolist()
    ([0.5, 0.5, 2.0], [1.0, 1.0])
    """
    above = draws[draws > 0]
    return np.maximum(draws, above.min() if above.size else 1.0)


def log_error(log_draws: Float, clipped: bool) -> float:
    """Standard error of a logarithm from its draws (B,); from their central 95 % where some had to be clipped.

    The standard deviation of all draws, or (q_97.5 - q_2.5) / (2 · 1.96).

    >>> draws = np.linspace(-1.0, 1.0, 41)
    >>> round(log_error(draws, clipped=True), 4)  # (0.95 + 0.95) / 3.92
    0.4847
    """
    if not clipped:
        return float(np.std(log_draws))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(log_draws, [tail, 1 - tail])
    return float(high - low) / (2 * normal_quantile(1 - tail))


def _obstacle(known: Change, number: int, floor: float) -> str:
    """Why a yardstick cannot be divided by; empty where it can."""
    low = known.interval.low
    if low is None or low <= floor:
        return f"yardstick {number} does not differ from the reference beyond the numerical floor {floor:.3g}"
    return ""


def _too_few(table: Float) -> str:
    """Why counts give no scale: below ten events *altogether*, or none of one yardstick.

    A rule on each yardstick would leave only sets that happened to differ much, and so a scale that is too long.
    """
    seen = [events(row) for row in table]
    if sum(seen) < FEW:
        return (
            f"{len(seen)} yardsticks differ from the reference in {sum(seen)} samples altogether; a scale needs {FEW}"
        )
    silent = [number for number, count in enumerate(seen, start=1) if count == 0]
    return f"yardstick {silent[0]} differs from the reference in no sample, and 0 has no logarithm" if silent else ""


def scale_of(yardsticks: NDArray[Any], resamples: Resamples, *, count: bool = False, floor: float = 0.0) -> Scale:
    """Scale of k yardsticks: the geometric mean of their changes from the reference, its resamples and their spread.

    Args:
        yardsticks: Distances of each yardstick from the reference, (k, n).
        resamples: Of n samples.
        count: Distances are events of 0 or 1.
        floor: Mean distance that arithmetic alone brings about.

    Raises:
        ValueError: If shapes disagree, or distances are not finite or no counts where these are promised.

    >>> scale = scale_of(np.array([[1.0, 3.0], [8.0, 8.0]]), Resamples.of(np.ones((2, 2))))
    >>> round(float(np.exp(scale.log_mean)), 6), scale.count  # sqrt(2 * 8)
    (4.0, 2)
    """
    table = np.asarray(yardsticks, dtype=np.float64)
    k = len(table)
    if k == 0:
        return Scale(0.0, np.zeros(0), inf, 0, "there are no yardsticks")
    if table.ndim != 2 or table.shape[1] != resamples.n:
        raise ValueError(f"yardsticks of shape {table.shape} and resamples of {resamples.n} samples")
    if count and (reason := _too_few(table)):
        return Scale(0.0, np.zeros(0), inf, k, reason)
    means = []
    resamples = resamples.ahead(change_vectors(row, count=count) for row in table)
    for number, row in enumerate(table, start=1):
        known, drawn = change_and_draws(row, resamples, count=count)
        if reason := _obstacle(known, number, floor):
            return Scale(0.0, np.zeros(0), inf, k, reason)
        means.append(drawn)
    logs = np.log(table.mean(axis=1))
    resampled = np.mean([np.log(positive(row)) for row in means], axis=0)
    spread = float(np.std(logs, ddof=1)) if k > 1 else inf
    return Scale(float(logs.mean()), resampled, spread, k)


def log_limits(interval: Interval, estimate: float) -> tuple[float, float]:
    """Distances, in log units, from an estimate down to its lower and up to its upper limit.

    >>> [round(x, 4) for x in log_limits(Interval(1.0, 8.0, "exact"), 2.0)]
    [0.6931, 1.3863]
    """
    low = log(estimate / interval.low) if interval.low else inf
    high = log(interval.high / estimate) if interval.high else inf
    return low, high

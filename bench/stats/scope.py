"""Recipe scope: from several independent trainings of the whole chain to the method in general."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, NO_INTERVAL, Interval
from bench.stats.quantiles import t_quantile, t_survival

NEEDED = 5  # replicates


class Replicated(NamedTuple):
    """Mean over replicates and its interval."""

    estimate: float
    interval: Interval
    p_value: float | None = None  # two-sided, of a mean of 0


def across_replicates(
    estimates: Sequence[float] | NDArray[Any],
    *,
    standard_error: float | None = None,
    draws: NDArray[Any] | None = None,
    freedom: int | None = None,
    level: float = LEVEL,
) -> Replicated:
    """Mean over replicates with an interval for the recipe: +- t(R-1) sqrt(SE^2 + s^2 / R).

    Replicates and samples are crossed: every replicate is measured on the same samples, so their sampling errors
    do not average out. SE is the error over samples of the *mean over replicates* (from draws over shared resamples:
    the standard deviation of their mean), s the spread of the estimates. Gaps and other ratios belong on the log.

    Args:
        estimates: One a replicate, (R,).
        standard_error: SE, where it is known.
        draws: Each replicate's estimate in each shared resample, (R, B), where SE is to be taken from them.
        freedom: Degrees of freedom of the least known part of SE, where they may be fewer than R - 1.
        level: Coverage wanted.

    Returns:
        Mean and interval; no limits below five replicates.

    Raises:
        ValueError: If not exactly one of standard_error and draws is given, shapes disagree, or a number is not finite.

    >>> mean, (low, high, _), _ = across_replicates([1.0, 2.0, 3.0, 4.0, 5.0], standard_error=0.0)
    >>> mean, round(high - mean, 4)  # t(4) sqrt(2.5 / 5) = 2.7764 * 0.7071
    (3.0, 1.9632)
    """
    values = np.asarray(estimates, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError("replicates need one finite estimate each")
    if (standard_error is None) == (draws is None):
        raise ValueError("give either the standard error over samples or the draws it comes from")
    mean = float(values.mean())
    if values.size < NEEDED:
        return Replicated(mean, NO_INTERVAL)
    if draws is not None:
        table = np.asarray(draws, dtype=np.float64)
        if table.ndim != 2 or len(table) != values.size:
            raise ValueError(f"draws of shape {table.shape} for {values.size} replicates")
        standard_error = float(np.std(table.mean(axis=0)))
    assert standard_error is not None
    least = min(values.size - 1, freedom or values.size - 1)
    error = sqrt(standard_error**2 + float(np.var(values, ddof=1)) / values.size)
    half = t_quantile((1 + level) / 2, least) * error
    p_value = 2 * t_survival(abs(mean) / error, least) if error > 0 else float(mean == 0)
    return Replicated(mean, Interval(mean - half, mean + half, "t"), p_value)

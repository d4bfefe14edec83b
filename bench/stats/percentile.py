"""Percentile intervals of bootstrap distributions, and their one-sided p-values."""

from __future__ import annotations

import numpy as np

from bench.stats.interval import LEVEL, Interval
from bench.stats.quantiles import contracted_tail, expanded_tail, normal_quantile, normal_survival
from bench.stats.resampling import Float

FAR = 10  # draws at or beyond a threshold below which their share is too coarse


def percentile_interval(draws: Float, level: float = LEVEL, samples: int | None = None) -> Interval:
    """Percentile interval of a bootstrap distribution, widened for few samples.

    Unchanged by any monotone transformation of the statistic. Draws that are not a number (a resample
    without a positive, say) are left out; where they are more than 5 %, there is no interval.

    Args:
        draws: Statistic in each resample, (B,).
        level: Coverage wanted.
        samples: How many samples were resampled; None gives the plain percentiles.

    >>> low, high, method = percentile_interval(np.arange(1001.0))
    >>> round(low, 6), round(high, 6), method
    (25.0, 975.0, 'bootstrap')
    """
    known = draws[np.isfinite(draws)]
    if known.size == 0 or known.size < 0.95 * draws.size:
        return Interval(None, None, "none")
    tail = expanded_tail((1 - level) / 2, samples)
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(float(low), float(high), "bootstrap")


def tail_probability(draws: Float, threshold: float, samples: int | None = None) -> float:
    """One-sided p-value that the statistic is at most the threshold, from its bootstrap distribution.

    The share of draws at or below the threshold (ties count half), never below 1 / (B + 1), and worth what
    ``percentile_interval`` with the same samples says: it is below 2.5 % where that interval lies above.

    Args:
        draws: Statistic in each resample, (B,).
        threshold: What it is held against.
        samples: How many samples were resampled; None: as many as one likes.

    Raises:
        ValueError: If no draw is a number.

    >>> tail_probability(np.arange(1.0, 1000.0), 0.0), round(tail_probability(np.arange(1.0, 1000.0), 500.0), 3)
    (0.001, 0.5)
    """
    known = draws[np.isfinite(draws)]
    if known.size == 0:
        raise ValueError("no draw of the statistic is a number")
    below = (int(np.count_nonzero(known < threshold)) + int(np.count_nonzero(known <= threshold))) / 2
    share = (below + 0.5) / (known.size + 1)
    floor = 1 / (known.size + 1)
    share = min(max(share, floor), 1 - floor)
    return min(max(contracted_tail(share, samples), floor), 1 - floor)


def far_tail_probability(draws: Float, threshold: float, samples: int | None = None) -> float:
    """``tail_probability`` that goes on below 1 / (B + 1), for many questions judged together.

    Where fewer than ten draws lie at or below the threshold, the tail is that of a normal law through the draws' median
    and their ten smallest: P(Z > (m - threshold) z / (m - q)), q the tenth smallest and z its normal quantile. Beside
    three million draws of skewed means it is right within a factor of three down to 3e-6 in the median of trials.

    >>> far_tail_probability(np.arange(1.0, 1000.0), 0.0) < 0.02
    True
    >>> normal = np.sort(np.random.default_rng(0).standard_normal(10_000))
    >>> 1e-7 < far_tail_probability(normal, -5.0) < 1e-5  # 2.9e-7
    True
    """
    known = draws[np.isfinite(draws)]
    if known.size <= FAR or np.count_nonzero(known <= threshold) >= FAR:
        return tail_probability(draws, threshold, samples)
    middle, share = float(np.median(known)), FAR / known.size
    width = (middle - float(np.partition(known, FAR - 1)[FAR - 1])) / normal_quantile(1 - share)
    if width <= 0:  # most draws are one number
        return tail_probability(draws, threshold, samples)
    return contracted_tail(normal_survival((middle - threshold) / width), samples)

"""Bootstrap resamples as weights: drawn once for n samples, shared by every network and every metric."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.quantiles import contracted_tail, expanded_tail, normal_quantile, normal_survival
from bench.stats.streams import generator

Float: TypeAlias = NDArray[np.float64]
Weights: TypeAlias = NDArray[np.floating[Any]]

DRAWS = 10_000
WIDE = 25_000_000  # entries kept as float64, which products need: 200 MB; more are kept as float32
FAR = 10  # draws at or beyond a threshold below which their share is too coarse
CHUNK = 1_000_000  # entries worked on at a time: 8 MB of float64, which stays near the caches


@lru_cache(maxsize=4)
def bootstrap_weights(n: int, draws: int = DRAWS, seed: int = 0) -> Weights:
    """How often each sample is drawn: rows of Multinomial(n; 1/n, ..., 1/n) counts.

    One matrix for one n: all networks and metrics see the same resamples, so that differences are paired.
    Memoised (the last four) and read-only. n = 360 takes 29 MB, n = 10,000 takes 400 MB.

    Args:
        n: Samples, at least 1.
        draws: Resamples B, at least 1.
        seed: The measurement seed.

    Returns:
        Counts, (draws, n); every row sums to n.

    Raises:
        ValueError: If n or draws is below 1.

    >>> weights = bootstrap_weights(3, 5)
    >>> weights.shape, weights.sum(axis=1).tolist()
    ((5, 3), [3.0, 3.0, 3.0, 3.0, 3.0])
    """
    if n < 1 or draws < 1:
        raise ValueError(f"a bootstrap of {n} samples with {draws} draws has nothing to draw")
    random = generator("bootstrap", seed, n)
    weights: Weights = np.empty((draws, n), dtype=np.float64 if draws * n <= WIDE else np.float32)
    rows = max(1, CHUNK // n)
    for start in range(0, draws, rows):
        part = weights[start : start + rows]
        index = random.integers(n, size=part.shape, dtype=np.int32)
        index += np.arange(len(part), dtype=np.int32)[:, None] * n
        part[:] = np.bincount(index.ravel(), minlength=part.size).reshape(part.shape)
    weights.flags.writeable = False
    return weights


def resampled_means(values: NDArray[Any], weights: Weights) -> Float:
    """Mean of each row of values in each resample: sum_i w_bi v_i / n.

    Summed in float64, so that a resample without any event has a mean of exactly 0.

    Args:
        values: (n,) or (m, n).
        weights: (B, n), rows that sum to n.

    Returns:
        (B,) or (m, B).

    Raises:
        ValueError: If the numbers of samples differ.

    >>> resampled_means(np.array([1.0, 3.0]), np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
    [2.0, 1.0]
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    n = weights.shape[1]
    if table.shape[1] != n:
        raise ValueError(f"{table.shape[1]} values and weights for {n} samples")
    means = weighted_sums(table, weights)
    means /= n
    return means[0] if np.ndim(values) == 1 else means


def weighted_sums(table: Float, weights: Weights) -> Float:
    """Weighted sum of each row of (m, n) under each row of weights (B, n): (m, B), in float64.

    Each sum is made alone and in one order: a matrix product of BLAS would depend on the number of threads, and on how
    many rows are summed together.

    >>> weighted_sums(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
    [[4.0, 2.0]]
    """
    draws, n = weights.shape
    sums = np.empty((len(table), draws))
    rows = max(1, CHUNK // n)
    for start in range(0, draws, rows):
        part = weights[start : start + rows].astype(np.float64, copy=False)
        for row, out in zip(table, sums, strict=True):
            np.einsum("n,bn->b", row, part, out=out[start : start + rows])
    return sums


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
    >>> normal = np.sort(generator("doctest").standard_normal(10_000))
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

"""Two samples of timings: is one surely slower, and by which factor."""

from __future__ import annotations

from math import floor, inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.quantiles import normal_quantile


def mann_whitney(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Two-sided p-value that neither sample tends to be larger (Mann & Whitney 1947, Ann. Math. Statist. 18:50).

    z = (|U - nm/2| - 1/2) / sqrt(nm/12 (N + 1 - sum (t^3 - t) / (N (N - 1)))), t the sizes of ties: the normal law,
    good from some eight values a sample on.

    Args:
        first: (n,), any unit.
        second: (m,), in the same unit.

    Raises:
        ValueError: If a sample is empty or not finite.

    >>> round(mann_whitney(np.arange(10.0), np.arange(10.0) + 10), 5), mann_whitney(np.ones(9), np.ones(9))
    (0.00018, 1.0)
    """
    from scipy.stats import mannwhitneyu

    a, b = _checked(first), _checked(second)
    if np.ptp(np.concatenate([a, b])) == 0:  # all values equal: the formula divides by 0
        return 1.0
    return float(mannwhitneyu(a, b, method="asymptotic").pvalue)


def shift_interval(first: NDArray[Any], second: NDArray[Any], level: float = LEVEL) -> tuple[float, Interval]:
    """The shift of the second sample against the first: median of all m n differences, and its interval.

    The limits are the k-th smallest and largest difference, k = nm/2 - z sqrt(nm (n + m + 1) / 12) (Hodges & Lehmann
    1963, Ann. Math. Statist. 34:598). Of logarithms it is the logarithm of a factor.

    >>> shift_interval(np.arange(10.0), np.arange(10.0) + 5)[0]
    5.0
    """
    a, b = _checked(first), _checked(second)
    differences = np.sort((b[:, None] - a[None, :]).ravel())
    pairs = differences.size
    margin = normal_quantile((1 + level) / 2) * sqrt(pairs * (a.size + b.size + 1) / 12)
    k = floor(pairs / 2 - margin)
    low, high = (differences[k], differences[pairs - 1 - k]) if k >= 0 else (-inf, inf)
    return float(np.median(differences)), Interval(float(low), float(high), "exact")


def _checked(values: NDArray[Any]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"a sample of shape {array.shape} must hold finite numbers")
    return array

"""Which of several figures of the same samples is surely less: every pair at once."""

from __future__ import annotations

from math import exp, hypot, inf, log, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.stats.all_pairs import all_pairs_quantile, number_of_pairs, skewness_removed, student_critical
from bench.stats.change import FEW
from bench.stats.interval import LEVEL
from bench.stats.quantiles import normal_survival
from bench.stats.resampling import Float

Order: TypeAlias = NDArray[np.bool_]  # (m, m): the first is surely less than the second
NOTHING = 1e-12  # of the numbers themselves: a spread that is rounding


def means_less(values: NDArray[Any], level: float = LEVEL) -> Order:
    """Of means over samples: i is surely less than j where the simultaneous interval of the difference lies below 0.

    All m (m - 1) / 2 intervals hold at once with probability ``level``: c is the quantile of the largest standardised
    difference under the means' covariance, taken to Student's law, and the skewness of the differences is allowed for.
    Nothing is sure of a pair whose difference is the same in every sample, or of which effectively fewer than ten
    samples decide, (sum |d|)^2 / sum d^2 < 10.

    Args:
        values: Contributions of each sample to m figures, (m, n).
        level: Probability that nothing that is called sure is wrong.

    Raises:
        ValueError: they are not (m, n), or not finite.

    >>> rows = np.array([[0.0, 1.0] * 20, [9.0, 8.0] * 20, [9.0, 8.0] * 20])
    >>> means_less(rows).tolist()
    [[False, True, True], [False, False, False], [False, False, False]]
    """
    table = _table(values)
    m, n = table.shape
    less = np.zeros((m, m), dtype=bool)
    if m < 2 or n < FEW:
        return less
    critical = _critical(_distinct(table), n, level)
    size = np.abs(table).max(axis=1)
    for i in range(m - 1):
        others = slice(i + 1, m)
        difference = table[i] - table[others]
        mean = difference.mean(axis=1)
        centred = difference - mean[:, None]
        square = centred**2
        spread = np.sqrt(square.mean(axis=1))
        known = spread > NOTHING * np.maximum(size[i], size[others])
        spread[~known] = 1.0
        t = mean * sqrt(n - 1) / spread
        t = _nearer_zero(t, skewness_removed(t, np.mean(square * centred, axis=1) / spread**3, n))
        total = np.abs(difference).sum(axis=1)
        known &= total**2 >= FEW * (difference**2).sum(axis=1)
        for sign, place in ((1, (i, others)), (-1, (others, i))):
            sure = known & (sign * t < -critical)
            for j in np.flatnonzero(sure):
                sure[j] = not _may_hide(sign * difference[j], critical)
            less[place] = sure
    return less


def counts_less(values: NDArray[Any], level: float = LEVEL) -> Order:
    """Of means of whole numbers such as events: i is surely less than j by the exact sign test of both directions.

    P(X >= b) <= (1 - level) / (m (m - 1)), X binomial of b + c trials at 1/2; b samples speak for it, c against. For
    0 and 1 this is McNemar's exact test: it never errs more often, however rare the events. Where a sample's difference
    is above 1 it counts once for and so many times against.

    Args:
        values: Contributions of each sample, whole numbers, (m, n).
        level: Probability that nothing that is called sure is wrong.

    Raises:
        ValueError: they are not (m, n), or not whole.

    >>> rows = np.zeros((2, 20))
    >>> rows[1, :6] = 1  # six against none: 2 / 2^6 = .031
    >>> counts_less(rows).tolist()
    [[False, True], [False, False]]
    >>> bool(counts_less(rows[:, 1:]).any())  # five: .0625
    False
    """
    from scipy.special import bdtrc

    table = _table(values)
    if (table != np.round(table)).any():
        raise ValueError("an exact test needs whole numbers")
    m = len(table)
    less = np.zeros((m, m), dtype=bool)
    most = (1 - level) / (2 * max(1, number_of_pairs(m)))
    for i in range(m - 1):
        difference = table[i] - table[i + 1 :]
        for sign, place in ((-1, (i, slice(i + 1, m))), (1, (slice(i + 1, m), i))):
            signed = sign * difference
            favour = np.count_nonzero(signed > 0, axis=1)
            against = np.rint(np.maximum(-signed, 0).sum(axis=1)).astype(int)
            p_values = bdtrc(favour - 1, favour + against, 0.5)
            less[place] = (favour > 0) & (p_values <= most)
    return less


def draws_less(estimates: NDArray[Any], draws: NDArray[Any], samples: int, level: float = LEVEL) -> Order:
    """Of any figures, by their values in the same resamples: as ``means_less``, with the draws' spread and skewness.

    Student's law is that of a quarter of the samples: draws tell less of their own spread than samples do, and with all
    of them the logarithms of skewed means were told apart too often. Draws that are not finite are left out of the
    differences they are in.

    Args:
        estimates: (m,).
        draws: Each figure in each shared resample, (m, B).
        samples: How many samples were resampled.
        level: Probability that nothing that is called sure is wrong.

    Raises:
        ValueError: the shapes do not fit.

    >>> shared = np.random.default_rng(0).normal(size=(1, 1000))
    >>> apart = np.random.default_rng(1).normal(size=(2, 1000))
    >>> draws_less(np.array([0.0, 1.0]), 9 * shared + 0.1 * apart, 500).tolist()  # shared errors cancel
    [[False, True], [False, False]]
    """
    known = np.asarray(draws, dtype=np.float64)
    points = np.asarray(estimates, dtype=np.float64)
    if known.ndim != 2 or points.shape != known.shape[:1] or not np.isfinite(points).all():
        raise ValueError(f"estimates of shape {points.shape} and draws of shape {known.shape}")
    m = len(points)
    less = np.zeros((m, m), dtype=bool)
    if m < 2 or samples < FEW:
        return less
    finite = np.isfinite(known)
    mean: Any = np.mean
    filled = known
    if not finite.all():
        known, mean = np.where(finite, known, np.nan), np.nanmean
        filled = np.where(finite, known, mean(known, axis=1, keepdims=True))
    critical = _critical(_distinct(filled), max(2, samples // 4), level)
    size = np.abs(points)
    for i in range(m - 1):
        others = slice(i + 1, m)
        moved = known[i] - known[others]
        moved -= mean(moved, axis=1, keepdims=True)
        square = moved**2
        spread = np.sqrt(mean(square, axis=1) * samples / (samples - 1))
        sure = spread > NOTHING * np.maximum(size[i], size[others])
        spread[~sure] = 1.0
        t = (points[i] - points[others]) / spread
        skewness = mean(square * moved, axis=1) / spread**3 * sqrt(samples)  # of one sample's contribution
        t = _nearer_zero(t, skewness_removed(t, skewness, samples))
        less[i, others] = sure & (t < -critical)
        less[others, i] = sure & (t > critical)
    return less


def _may_hide(difference: Float, critical: float) -> bool:
    """Whether a mean (n,) below 0 may owe its sign to few large samples above 0, which are more in another draw.

    Of effectively k < 10 samples above 0 that are larger than those below (sum d^2 / sum |d|), the mean of max(d, 0)
    has for its limit that of a share k / n joined with that of an exponential mean, and this is joined with the spread
    of those below (Zou & Donner 2008, Statistics in Medicine 27:1693).
    """
    from scipy.special import betaincinv, gammaincinv

    n, against = difference.size, np.maximum(difference, 0.0)
    total, square = float(against.sum()), float((against**2).sum())
    if total == 0:
        return False
    k, rest = total**2 / square, against - difference
    if k >= FEW or square / total <= float((rest**2).sum() / rest.sum()):
        return False
    tail = normal_survival(critical)
    often = log(float(betaincinv(k + 1, n - k, 1 - tail)) * n / k)
    far = log(k / float(gammaincinv(k, tail)))
    more = total / n * (exp(hypot(often, far)) - 1)
    spread = critical * float(np.std(rest)) / sqrt(n)
    return float(difference.mean()) + hypot(more, spread) >= 0


def _table(values: NDArray[Any]) -> Float:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise ValueError(f"contributions of shape {table.shape}: finite numbers (figures, samples) are needed")
    return table


def _critical(rows: Float, n: int, level: float) -> float:
    """The least |t| of a sure difference; rows in an order of their own, so that no other order matters."""
    if len(rows) < 2:
        return inf
    return student_critical(all_pairs_quantile(np.cov(rows), level), n)


def _distinct(rows: Float) -> Float:
    """Rows that differ, the least sum first: an order that is their own, and that last digits hardly touch."""
    kept: dict[bytes, Float] = {row.tobytes(): row for row in rows}
    return np.stack([kept[key] for key in sorted(kept, key=lambda key: (float(kept[key].sum()), key))])


def _nearer_zero(first: Float, second: Float) -> Float:
    """The one of both that is nearer to 0; 0 where their signs differ."""
    return np.where(first * second > 0, np.where(np.abs(first) < np.abs(second), first, second), 0.0)

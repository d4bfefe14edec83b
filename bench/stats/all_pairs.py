"""All differences of several figures at once: how far the largest of their standardised errors goes."""

from __future__ import annotations

from math import sqrt

import numpy as np

from bench.stats.blas_threads import one_thread
from bench.stats.interval import LEVEL
from bench.stats.quantiles import normal_quantile, normal_survival, t_quantile
from bench.stats.resampling import Float
from bench.stats.streams import generator

DRAWS = 4_000
JITTER = 1e-10  # of a variance: what makes the covariance of near duplicates a proper one


def number_of_pairs(m: int) -> int:
    """Pairs of m figures.

    >>> number_of_pairs(9)
    36
    """
    return m * (m - 1) // 2


def all_pairs_quantile(covariance: Float, level: float = LEVEL, draws: int = DRAWS) -> float:
    """The largest of all standardised differences of m normal figures with this covariance (m, m): its quantile.

    P(max over i < j of |Z_i - Z_j| / sd(Z_i - Z_j) <= c) = level, by simulation; never above Bonferroni's normal
    quantile at 1 - (1 - level) / (m (m - 1)), which holds for every covariance. 0 where no two figures vary apart.

    Raises:
        ValueError: it is not square, or not finite.

    >>> round(all_pairs_quantile(np.eye(2)), 1)  # one pair
    2.0
    >>> round(all_pairs_quantile(np.eye(9)), 1)  # the studentised range of nine, 4.39, over the root of 2
    3.1
    >>> all_pairs_quantile(np.zeros((3, 3)))
    0.0
    """
    table = np.asarray(covariance, dtype=np.float64)
    m = len(table)
    if table.shape != (m, m) or not np.isfinite(table).all():
        raise ValueError(f"a covariance of shape {table.shape}: it must be square and finite")
    factor = _factor(table)
    random = generator("all pairs", m)
    with one_thread():
        normal = factor @ random.standard_normal((m, draws))
    largest = np.zeros(draws)
    for first in range(m - 1):
        error = np.linalg.norm(factor[first] - factor[first + 1 :], axis=1)
        apart = np.flatnonzero(error > 0)
        if apart.size:
            moved = normal[first] - normal[first + 1 + apart]
            moved /= error[apart, None]
            np.maximum(largest, np.abs(moved, out=moved).max(axis=0), out=largest)
    if not largest.any():
        return 0.0
    most = normal_quantile(1 - (1 - level) / (2 * number_of_pairs(m)))
    return min(float(np.quantile(largest, level)), most)


def student_critical(quantile: float, n: int) -> float:
    """The same tail of Student's law: t(n - 1) at Phi(quantile), for differences whose errors n samples tell.

    >>> round(student_critical(1.959964, 13), 4)  # t(12) at 97.5 %
    2.1788
    """
    return -t_quantile(normal_survival(quantile), n - 1)


def skewness_removed(t: Float, skewness: Float, n: int) -> Float:
    """Student's t of a mean of n skewed numbers, brought to a symmetric law (Hall 1992, JRSS B 54:221).

    t + g t^2 / (3 sqrt n) + g^2 t^3 / (27 n) + g / (6 sqrt n), g the skewness of the numbers.

    >>> skewness_removed(np.array([-3.0]), np.array([2.0]), 100).round(4).tolist()  # -3 + .6 - .04 + .0333
    [-2.4067]
    """
    g = skewness / sqrt(n)
    return np.asarray(t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6)


def _factor(covariance: Float) -> Float:
    """L (m, m) with L L' the covariance, but for a jitter of 1e-10; rows of zeros where nothing varies."""
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    varying = np.flatnonzero(deviations > 0)
    factor = np.zeros_like(covariance)
    if varying.size:
        scale = deviations[varying]
        correlation = covariance[np.ix_(varying, varying)] / np.outer(scale, scale)
        with one_thread():
            lower = np.linalg.cholesky(correlation + JITTER * np.eye(varying.size))
        factor[np.ix_(varying, varying)] = scale[:, None] * lower
    return factor

"""Mean of one number a sample, with its studentised bootstrap interval."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.resampling import Float, Resamples


def checked(distances: NDArray[Any]) -> Float:
    """The distances as float64, (n,) with n >= 1.

    Raises:
        ValueError: They have another shape, or one is not finite.

    >>> checked(np.array([1, 0], dtype=np.uint8)).tolist()
    [1.0, 0.0]
    """
    values = np.asarray(distances, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"distances of shape {values.shape}: one number a sample is needed")
    if not np.isfinite(values).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values))} of {values.size} distances are not finite")
    return values


def mean_interval(values: Float, resamples: Resamples, level: float = LEVEL) -> Interval:
    """Studentised bootstrap interval of a mean: m - T(1-a) se, m - T(a) se.

    T* = (m* - m) / se* over resamples, se the plug-in standard error: second-order right for skewed values
    (Hall 1988, Annals of Statistics 16:927). A side whose T is not finite takes the percentile instead.

    Args:
        values: (n,).
        resamples: Of n samples.
        level: Coverage wanted.

    >>> mean_interval(np.zeros(3), Resamples.of(np.ones((4, 3))))
    Interval(low=0.0, high=0.0, method='bootstrap')
    """
    return mean_and_draws(values, resamples, level)[0]


def mean_and_draws(values: Float, resamples: Resamples, level: float = LEVEL) -> tuple[Interval, Float]:
    """``mean_interval`` and the resampled means (B,) that it was read from: one pass over the resamples for both.

    >>> interval, draws = mean_and_draws(np.array([1.0, 3.0]), Resamples.of(np.array([[1.0, 1.0], [2.0, 0.0]])))
    >>> draws.tolist()
    [2.0, 1.0]
    """
    mean, scale, centred = _standardised(values)
    if scale == 0:
        return Interval(mean, mean, "bootstrap"), np.full(resamples.draws, mean)
    resamples = resamples.ahead([change_vectors(values)])
    (under, over), shift = _studentised(centred, resamples, level)
    error = sqrt(float(np.mean(centred**2)))
    low = -over * error if isfinite(over) else np.quantile(shift, (1 - level) / 2)
    high = -under * error if isfinite(under) else np.quantile(shift, (1 + level) / 2)
    interval = Interval(mean + scale * float(low), mean + scale * float(high), "bootstrap")
    draws = mean + scale * shift
    if _sparse(values):
        draws = resamples.means(values)
    return interval, draws


def _studentised(centred: Float, resamples: Resamples, level: float) -> tuple[tuple[float, float], Float]:
    """Quantiles of T* = (m* - m) / sd* of deviations whose largest is 1, and their resampled means (B,)."""
    shift, square = resamples.means(np.stack([centred, centred**2]))
    variance = np.maximum(square - shift**2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        student = np.where(variance > 1e-12, shift / np.sqrt(variance), np.sign(shift) * np.inf)
    student[np.isnan(student)] = 0
    under, over = np.quantile(student, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return (float(under), float(over)), shift


def student_quantiles(values: Float, resamples: Resamples, level: float = LEVEL) -> tuple[float, float]:
    """Lower and upper quantile of (m* - m) / sd* over resamples, both 0 where nothing varies.

    >>> student_quantiles(np.ones(3), Resamples(3, 5))
    (0.0, 0.0)
    """
    _, scale, centred = _standardised(values)
    if scale == 0:
        return 0.0, 0.0
    return _studentised(centred, resamples, level)[0]


def change_vectors(distances: NDArray[Any], *, count: bool = False) -> Float:
    """The vectors (m, n) whose resampled means ``change_and_draws`` needs: for ``Resamples.ahead``, m from 0 to 3.

    >>> change_vectors(np.array([0.0, 2.0])).tolist()  # deviations from the mean, the largest 1, and their squares
    [[-1.0, 1.0], [1.0, 1.0]]
    """
    values = checked(distances)
    if count:
        return values[None]
    _, scale, centred = _standardised(values)
    if scale == 0:
        return np.empty((0, values.size))
    return np.stack([centred, centred**2, *([values] if _sparse(values) else [])])


def _standardised(values: Float) -> tuple[float, float, Float]:
    """Mean, largest deviation from it, and deviations in units of the largest; scale 0 where nothing varies."""
    mean = float(values.mean())
    centred = values - mean
    scale = float(np.abs(centred).max())
    return (mean, 0.0, centred) if scale <= 1e-12 * abs(mean) or scale == 0 else (mean, scale, centred / scale)


def _sparse(values: Float) -> bool:
    """Whether the values themselves are resampled: a resample without any event must be exactly 0."""
    return bool(np.count_nonzero(values) < values.size // 2)

"""Change: how different two networks are on the same samples, with an interval over samples."""

from __future__ import annotations

from math import exp, hypot, inf, isfinite, log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.proportions import clopper_pearson
from bench.stats.resampling import Float, Weights, resampled_means

FEW = 10  # events below which a bootstrap distribution is too coarse to be read


class Change(NamedTuple):
    """Mean distance and its interval."""

    estimate: float
    interval: Interval


def checked(distances: NDArray[Any]) -> Float:
    """The distances as float64, (n,) with n >= 1; others, and what is not finite, raise ``ValueError``."""
    values = np.asarray(distances, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"distances of shape {values.shape}: one number a sample is needed")
    if not np.isfinite(values).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values))} of {values.size} distances are not finite")
    return values


def events(distances: Float) -> int:
    """How many distances of a count are 1; a value beside 0 and 1 raises ``ValueError``."""
    if not np.isin(distances, (0, 1)).all():
        raise ValueError("a count needs distances of 0 or 1")
    return int(np.count_nonzero(distances))


def mean_interval(values: Float, weights: Weights, level: float = LEVEL) -> Interval:
    """Studentised bootstrap interval of a mean: m - T(1-a) se, m - T(a) se.

    T* = (m* - m) / se* over resamples, se the plug-in standard error: second-order right for skewed values
    (Hall 1988, Annals of Statistics 16:927). A side whose T is not finite takes the percentile instead.

    Args:
        values: (n,).
        weights: (B, n), rows that sum to n.
        level: Coverage wanted.

    >>> mean_interval(np.zeros(3), np.ones((4, 3)))
    Interval(low=0.0, high=0.0, method='bootstrap')
    """
    return mean_and_draws(values, weights, level)[0]


def mean_and_draws(values: Float, weights: Weights, level: float = LEVEL) -> tuple[Interval, Float]:
    """``mean_interval`` and the resampled means (B,) that it was read from."""
    mean = float(values.mean())
    centred = values - mean
    scale = float(np.abs(centred).max())
    if scale <= 1e-12 * abs(mean) or scale == 0:
        return Interval(mean, mean, "bootstrap"), np.full(len(weights), mean)
    centred = centred / scale
    shift, square = resampled_means(np.stack([centred, centred**2]), weights)
    variance = np.maximum(square - shift**2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        student = np.where(variance > 1e-12, shift / np.sqrt(variance), np.sign(shift) * np.inf)
    student[np.isnan(student)] = 0
    tails = [(1 - level) / 2, (1 + level) / 2]
    under, over = np.quantile(student, tails, method="inverted_cdf")
    low, high = np.quantile(shift, tails)
    error = sqrt(float(np.mean(centred**2)))
    low = -over * error if isfinite(over) else low
    high = -under * error if isfinite(under) else high
    interval = Interval(mean + scale * float(low), mean + scale * float(high), "bootstrap")
    draws = mean + scale * shift
    if np.count_nonzero(values) < values.size // 2:  # a resample without any event must be exactly 0
        draws = resampled_means(values, weights)
    return interval, draws


def change(
    distances: NDArray[Any], weights: Weights, *, count: bool = False, level: float = LEVEL, largest: float = inf
) -> Change:
    """Mean distance with a 95 % interval: exact for counts, a studentised bootstrap else.

    Distances of at least 0 keep limits of at least 0, and no limit lies beyond the largest distance. Where fewer than
    ten of them differ from 0, the upper limit is at least ``sparse_limit``; all exactly 0 gives [0, 0], which no
    sample contradicts.

    Args:
        distances: (n,), contributions of each sample; 0 or 1 for a count.
        weights: (B, n), rows that sum to n.
        count: Distances are events: Clopper-Pearson, never [0, 0].
        level: Coverage wanted.
        largest: Largest distance that two networks can have.

    Raises:
        ValueError: If there is no sample, a distance is not finite, or a count is not 0 or 1.

    >>> estimate, interval = change(np.zeros(360), np.ones((1, 360)), count=True)
    >>> estimate, interval.low, round(interval.high, 4), interval.method
    (0.0, 0.0, 0.0102, 'exact')
    """
    if count:  # exact: nothing is resampled
        values = checked(distances)
        return Change(float(values.mean()), clopper_pearson(events(values), values.size, level))
    return change_and_draws(distances, weights, level=level, largest=largest)[0]


def change_and_draws(
    distances: NDArray[Any], weights: Weights, *, count: bool = False, level: float = LEVEL, largest: float = inf
) -> tuple[Change, Float]:
    """``change`` and the mean distance in each resample, (B,): one pass over the weights for both."""
    values = checked(distances)
    if count:
        exact = clopper_pearson(events(values), values.size, level)
        return Change(float(values.mean()), exact), resampled_means(values, weights)
    interval, draws = mean_and_draws(values, weights, level)
    if values.min() < 0:
        return Change(float(values.mean()), interval.within(-largest, largest)), draws
    high = max(interval.high or 0.0, sparse_limit(values, level))
    limits = Interval(interval.low or 0.0, high, "bootstrap")
    return Change(float(values.mean()), limits.within(0.0, largest)), draws


def sparse_limit(distances: Float, level: float = LEVEL) -> float:
    """Upper limit of a mean of which fewer than ten terms differ from 0, for resampling sees too few; 0 for others.

    m exp(sqrt(log^2(q_high / q) + log^2(x_high / x))): q the share that differs with its exact upper limit, x their
    mean with its upper limit were they exponential, joined as Zou & Donner join limits (2008, Statistics in Medicine
    27:1693).

    >>> sparse_limit(np.zeros(9)), round(sparse_limit(np.r_[1.0, np.zeros(99)]), 2)  # .01 exp(hypot(1.695, 3.676))
    (0.0, 0.57)
    """
    moved = int(np.count_nonzero(distances))
    if not 0 < moved < FEW:
        return 0.0
    from scipy.special import gammaincinv

    share = moved / distances.size
    often = log((clopper_pearson(moved, distances.size, level).high or 1.0) / share)
    far = log(moved / float(gammaincinv(moved, (1 - level) / 2)))
    return float(distances.mean()) * exp(hypot(often, far))


def independent_change(cross: NDArray[Any], within_f: NDArray[Any], within_g: NDArray[Any]) -> Float:
    """Contributions to the change between two random functions: d(f, g') - d(f, f')/2 - d(g, g')/2.

    Draws are independent; the expectation is 0 exactly where both have one law, for d of negative type (Hamming, |.|,
    squared L2, Jensen-Shannon); single contributions may be negative (energy distance, Szekely & Rizzo 2013).

    Args:
        cross: d(f, g'), (n,).
        within_f: d(f, f') of two draws of the first, (n,).
        within_g: d(g, g') of two draws of the second, (n,).

    >>> independent_change(np.array([1.0, 0.0]), np.array([0.0, 0.0]), np.array([1.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    return checked(cross) - checked(within_f) / 2 - checked(within_g) / 2

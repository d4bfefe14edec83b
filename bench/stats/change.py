"""Change: how different two networks are on the same samples, and what one more step adds, with intervals."""

from __future__ import annotations

from math import exp, hypot, inf, log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.mean import change_vectors, checked, mean_and_draws, mean_interval
from bench.stats.proportions import PairedTable, clopper_pearson, paired_difference
from bench.stats.resampling import Float, Resamples

FEW = 10  # events below which a bootstrap distribution is too coarse to be read


class Change(NamedTuple):
    """Mean distance and its interval."""

    estimate: float
    interval: Interval


def events(distances: Float) -> int:
    """The number of distances (n,) of a count that are 1.

    Raises:
        ValueError: One is neither 0 nor 1.

    >>> events(np.array([1.0, 0.0, 1.0]))
    2
    """
    if not np.isin(distances, (0, 1)).all():
        raise ValueError("a count needs distances of 0 or 1")
    return int(np.count_nonzero(distances))


def change(
    distances: NDArray[Any], resamples: Resamples, *, count: bool = False, level: float = LEVEL, largest: float = inf
) -> Change:
    """Mean distance with a 95 % interval: exact for counts, a studentised bootstrap else.

    Distances of at least 0 keep limits of at least 0, and no limit lies beyond the largest distance. Where fewer than
    ten of them differ from 0, the upper limit is at least ``sparse_limit``; all exactly 0 gives [0, 0], which no
    sample contradicts.

    Args:
        distances: (n,), contributions of each sample; 0 or 1 for a count.
        resamples: Of n samples.
        count: Distances are events: Clopper-Pearson, never [0, 0].
        level: Coverage wanted.
        largest: Largest distance that two networks can have.

    Raises:
        ValueError: If there is no sample, a distance is not finite, or a count is not 0 or 1.

    >>> estimate, interval = change(np.zeros(360), Resamples.of(np.ones((1, 360))), count=True)
    >>> estimate, interval.low, round(interval.high, 4), interval.method
    (0.0, 0.0, 0.0102, 'exact')
    """
    if count:  # exact: nothing is resampled
        values = checked(distances)
        return Change(float(values.mean()), clopper_pearson(events(values), values.size, level))
    return change_and_draws(distances, resamples, level=level, largest=largest)[0]


def change_and_draws(
    distances: NDArray[Any], resamples: Resamples, *, count: bool = False, level: float = LEVEL, largest: float = inf
) -> tuple[Change, Float]:
    """``change`` and the mean distance in each resample, (B,): one pass over the resamples for both.

    Args and errors are those of ``change``.

    >>> once = Resamples.of(np.array([[1.0, 1.0], [2.0, 0.0]]))
    >>> (estimate, _), draws = change_and_draws(np.array([1.0, 0.0]), once, count=True)
    >>> estimate, draws.tolist()
    (0.5, [0.5, 1.0])
    """
    values = checked(distances)
    if count:
        exact = clopper_pearson(events(values), values.size, level)
        return Change(float(values.mean()), exact), resamples.means(values)
    interval, draws = mean_and_draws(values, resamples, level)
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


def added_change(
    before: NDArray[Any],
    after: NDArray[Any],
    resamples: Resamples,
    *,
    count: bool = False,
    level: float = LEVEL,
    largest: float = inf,
) -> Change:
    """The added change: how much further the later network is from the reference, mean(after) - mean(before).

    Negative where the step led back towards the reference. Both were measured on the same samples, so the interval is
    that of the paired difference: studentised bootstrap over the shared resamples, Tango's score interval for counts.
    Where fewer than ten samples moved one way, the limits of both directions are found apart and joined. No limit lies
    beyond what two distances can differ by.

    Args:
        before: Distances of the earlier network from the reference, (n,); 0 or 1 for a count.
        after: Distances of the later network from it, (n,).
        resamples: Of n samples.
        count: Distances are events.
        level: Coverage wanted.
        largest: Largest distance that two networks can have.

    Raises:
        ValueError: If shapes disagree, a distance is not finite, or a count is not 0 or 1.

    >>> once = Resamples.of(np.ones((1, 4)))
    >>> added = added_change(np.array([1.0, 1, 0, 0]), np.array([0.0, 1, 1, 1]), once, count=True)
    >>> added.estimate, added.interval.method  # two samples gained, one lost, of four
    (0.25, 'score')
    >>> added_change(np.full(4, 2.0), np.full(4, 2.0), once)  # a step that moved nothing
    Change(estimate=0.0, interval=Interval(low=0.0, high=0.0, method='bootstrap'))
    """
    first, second = checked(before), checked(after)
    if first.shape != second.shape:
        raise ValueError(f"distances of shapes {first.shape} and {second.shape} are not paired")
    estimate = float(second.mean()) - float(first.mean())
    if count:
        return Change(estimate, paired_difference(PairedTable.of(first, second), level))
    moved = second - first
    if not _few_moved(moved):
        return Change(estimate, mean_interval(moved, resamples, level).within(-largest, largest))
    return Change(estimate, _of_two_sides(moved, resamples, level).within(-largest, largest))


def _few_moved(moved: Float) -> bool:
    """Whether some samples moved one way, and fewer than ten."""
    return any(0 < np.count_nonzero(side) < FEW for side in (moved > 0, moved < 0))


def _of_two_sides(moved: Float, resamples: Resamples, level: float) -> Interval:
    """The interval where few samples moved one way: those of both sides, joined as Zou & Donner join limits (2008).

    m = P - N, [m - sqrt((P - P_low)^2 + (N_high - N)^2), m + sqrt((P_high - P)^2 + (N - N_low)^2)].
    """
    sides = np.maximum(moved, 0), np.maximum(-moved, 0)
    resamples = resamples.ahead(map(change_vectors, sides))
    (up, (up_low, up_high, method)), (down, (down_low, down_high, _)) = (
        change(side, resamples, level=level) for side in sides
    )
    assert up_low is not None
    assert up_high is not None
    assert down_low is not None
    assert down_high is not None
    middle = up - down
    low = middle - hypot(up - up_low, down_high - down)
    return Interval(low, middle + hypot(up_high - up, down - down_low), method)

"""What one more step adds to a distance from the reference: a paired difference, signed, with an interval."""

from __future__ import annotations

from math import hypot, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import FEW, Change, change, checked, mean_interval
from bench.stats.interval import LEVEL, Interval
from bench.stats.proportions import PairedTable, paired_difference
from bench.stats.resampling import Float, Weights


def added_change(
    before: NDArray[Any],
    after: NDArray[Any],
    weights: Weights,
    *,
    count: bool = False,
    level: float = LEVEL,
    largest: float = inf,
) -> Change:
    """How much further the later network is from the reference than the earlier one: mean(after) - mean(before).

    Negative where the step led back towards the reference. Both were measured on the same samples, so the interval is
    that of the paired difference: studentised bootstrap over the shared resamples, Tango's score interval for counts.
    Where fewer than ten samples moved one way, the limits of both directions are found apart and joined. No limit lies
    beyond what two distances can differ by.

    Args:
        before: Distances of the earlier network from the reference, (n,); 0 or 1 for a count.
        after: Distances of the later network from it, (n,).
        weights: (B, n), rows that sum to n.
        count: Distances are events.
        level: Coverage wanted.
        largest: Largest distance that two networks can have.

    Raises:
        ValueError: If shapes disagree, a distance is not finite, or a count is not 0 or 1.

    >>> found = added_change(np.array([1.0, 1, 0, 0]), np.array([0.0, 1, 1, 1]), np.ones((1, 4)), count=True)
    >>> found.estimate, found.interval.method  # two samples gained, one lost, of four
    (0.25, 'score')
    >>> added_change(np.full(4, 2.0), np.full(4, 2.0), np.ones((5, 4)))  # a step that moved nothing
    Change(estimate=0.0, interval=Interval(low=0.0, high=0.0, method='bootstrap'))
    """
    first, second = checked(before), checked(after)
    if first.shape != second.shape:
        raise ValueError(f"distances of shapes {first.shape} and {second.shape} are not paired")
    estimate = float(second.mean()) - float(first.mean())
    if count:
        return Change(estimate, paired_difference(PairedTable.of(first, second), level))
    moved = second - first
    sides = [int(np.count_nonzero(side)) for side in (moved > 0, moved < 0)]
    if not any(0 < side < FEW for side in sides):
        return Change(estimate, mean_interval(moved, weights, level).within(-largest, largest))
    return Change(estimate, _of_two_sides(moved, weights, level).within(-largest, largest))


def _of_two_sides(moved: Float, weights: Weights, level: float) -> Interval:
    """Where few samples moved one way: the intervals of both sides, joined as Zou & Donner join limits (2008).

    m = P - N, [m - sqrt((P - P_low)^2 + (N_high - N)^2), m + sqrt((P_high - P)^2 + (N - N_low)^2)].
    """
    up, (up_low, up_high, method) = change(np.maximum(moved, 0), weights, level=level)
    down, (down_low, down_high, _) = change(np.maximum(-moved, 0), weights, level=level)
    assert up_low is not None
    assert up_high is not None
    assert down_low is not None
    assert down_high is not None
    middle = up - down
    low = middle - hypot(up - up_low, down_high - down)
    return Interval(low, middle + hypot(up_high - up, down - down_low), method)

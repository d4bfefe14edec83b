"""Rank intervals: the places that each of several figures may truly hold, from what is sure of every pair."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import RESOLUTION
from bench.stats.resampling import Float


class RankInterval(NamedTuple):
    """The first and the last place, counted from 1; equal ones share all places that they take together."""

    low: int
    high: int


def rank_intervals(less: NDArray[np.bool_]) -> list[RankInterval]:
    """[1 + #{j surely less than i}, m - #{j surely more than i}] of each of m figures; the least has rank 1.

    Where all that is sure is true, these hold at once the true ranks: of the true figures the same formula gives every
    rank that ties allow, and each of those lies inside (Mogstad, Romano, Shaikh & Wilhelm 2023, "Inference for Ranks",
    doi 10.1093/restud/rdad006). ``paired_order`` says what is sure.

    Args:
        less: Whether the first is surely less than the second, (m, m).

    Raises:
        ValueError: it is not square, or two are each less than the other.

    >>> rank_intervals(np.array([[False, True, True], [False, False, False], [False, False, False]]))
    [RankInterval(low=1, high=1), RankInterval(low=2, high=3), RankInterval(low=2, high=3)]
    >>> rank_intervals(np.zeros((1, 1), dtype=bool))
    [RankInterval(low=1, high=1)]
    """
    order = np.asarray(less, dtype=bool)
    if order.ndim != 2 or order.shape[0] != order.shape[1]:
        raise ValueError(f"an order of shape {order.shape}: every figure beside every other is needed")
    if (order & order.T).any():
        raise ValueError("two figures are each less than the other")
    before, behind = order.sum(axis=0), order.sum(axis=1)
    return [RankInterval(1 + int(first), len(order) - int(last)) for first, last in zip(before, behind, strict=True)]


def beyond_arithmetic(estimates: Float, floors: Float, power: int = 1) -> NDArray[np.bool_]:
    """Whether two figures differ by more than arithmetic can bring about, (m, m).

    |a^(1/p) - b^(1/p)| > 2 floor^(1/p), the larger of both floors, and 1e-6 of the larger root: the root of a change
    moves by the floor's root at most, as ``RatioFigures.resolution`` has it. Roots keep the sign.

    Args:
        estimates: Changes, or harms, (m,).
        floors: What arithmetic alone brings about in each of them, (m,), at least 0.
        power: p of a change; 1 for a harm.

    >>> beyond_arithmetic(np.array([0.0, 1e-8, 1.0]), np.full(3, 1e-8), 2)[0].tolist()  # roots 0, 1e-4 and 1
    [False, False, True]
    """
    roots = np.sign(estimates) * np.abs(estimates) ** (1 / power)
    least = 2 * np.maximum(floors[:, None], floors) ** (1 / power)
    size = np.abs(roots)
    return np.asarray(np.abs(roots[:, None] - roots) > np.maximum(least, RESOLUTION * np.maximum(size[:, None], size)))

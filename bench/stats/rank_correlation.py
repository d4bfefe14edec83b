"""Spearman's rank correlation of a figure with the strength of what was done, over independent replicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.stats.interval import Interval
from bench.stats.scope import across_replicates


class RankCorrelation(NamedTuple):
    """The mean over replicates in [-1, 1], its interval, and each replicate's own; None where it has none."""

    mean: float | None
    interval: Interval
    each: tuple[float | None, ...]
    reason: str = ""  # why there is no mean or no interval


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's ρ in [-1, 1]: the correlation of ranks, ties at their mean rank; None where one side is constant.

    >>> rank_correlation([1, 2, 3, 4], [10, 30, 20, 40])  # 1 - 6 · 2 / (4 · 15)
    0.8
    """
    from scipy.stats import rankdata

    ranks = [rankdata(side) for side in (first, second)]
    centred = [rank - rank.mean() for rank in ranks]
    size = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return None if size == 0 else round(float(centred[0] @ centred[1]) / size, 12)


def over_replicates(strength: Sequence[float], figures: Sequence[Sequence[float]]) -> RankCorrelation:
    """The mean of ρ over replicates, each of which is one independent training of the whole chain.

    The interval is the t interval over five replicates or more, cut off at ±1. Where all of them have one and the same
    ρ there is none: their spread is 0, and how rare another value is cannot be told from so few.

    Args:
        strength: of each point, (points,).
        figures: (replicates, points).

    >>> found = over_replicates([1, 2, 3], [[1, 2, 3], [1, 3, 2], [1, 2, 3], [2, 1, 3], [1, 2, 3]])
    >>> found.mean, [round(end, 3) for end in found.interval[:2]], found.each
    (0.8, [0.46, 1.0], (1.0, 0.5, 1.0, 0.5, 1.0))
    """
    each = tuple(rank_correlation(strength, row) for row in figures)
    known = [value for value in each if value is not None]
    none = Interval(None, None, "none")
    if len(known) < len(each) or not known:
        return RankCorrelation(None, none, each, "in a replicate the figure is the same at every strength")
    if len(known) > 1 and len(set(known)) == 1:
        return RankCorrelation(known[0], none, each, f"the same in all {len(known)} replicates: no spread to judge by")
    found = across_replicates(known, standard_error=0.0)
    if found.interval.low is None:
        return RankCorrelation(found.estimate, none, each, "an interval needs five replicates")
    return RankCorrelation(found.estimate, found.interval.within(-1.0, 1.0), each)

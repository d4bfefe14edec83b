"""Change points of a series: where the mean of successive runs steps to another level."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.stats.streams import generator

Float = NDArray[np.float64]

LEAST: Final = 8  # points below which no change is looked for
SIDE: Final = 2  # points on either side of a change: one point that is off is no level
PERMUTATIONS: Final = 999
SLACK: Final = 1e-9  # of the total sum of squares: sums that differ by less are the same


@dataclass(frozen=True)
class ChangePoint:
    """One step: the first point of the new level, the means on both sides, and how sure it is."""

    index: int
    before: float
    after: float
    p_value: float


def change_points(values: ArrayLike, *, alpha: float = 0.05, seed: int = 0) -> tuple[ChangePoint, ...]:
    """The steps in the mean of a series, in order: binary segmentation with a permutation test of every split.

    Of a segment of n points the split k minimises ``SSE(k) = Σ_{i<k} (x_i - mean)² + Σ_{i>=k} (x_i - mean)²``; its
    p-value is ``(1 + #{permutations with an SSE as small}) / 1000`` of 999 permutations, which is exact where the
    points may change places: independent noise of one level. It says nothing of drift or of noise that follows itself.
    A split that is significant is a step, and both sides are looked at in the same way.

    Args:
        values: (n,) one figure a run, in their order.
        alpha: the largest p-value of a step: the share of flat series in which one is found.
        seed: of the permutations.

    Returns:
        the steps; none of fewer than eight points. Either side of a step has at least two points.

    Raises:
        ValueError: values that are no vector, or not finite.

    After Scott and Knott 1974 (binary segmentation); the test as in Matteson and James 2014 (arXiv 1306.4933).

    >>> [step] = change_points([1.0, 1.1, 0.9, 1.0, 1.1, 5.0, 5.1, 4.9, 5.0, 5.1])
    >>> step.index, round(step.before, 2), round(step.after, 2)
    (5, 1.02, 5.02)
    >>> change_points([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0])
    ()
    """
    series = np.asarray(values, np.float64)
    if series.ndim != 1 or not np.isfinite(series).all():
        raise ValueError(
            f"a series of shape {series.shape} with {int((~np.isfinite(series)).sum())} that is not finite"
        )
    splits: dict[int, float] = {}
    _segment(series, 0, len(series), alpha, seed, splits)
    ends = [0, *sorted(splits), len(series)]
    means = [float(series[start:stop].mean()) for start, stop in pairwise(ends) if stop > start]
    return tuple(
        ChangePoint(index, means[place], means[place + 1], splits[index]) for place, index in enumerate(sorted(splits))
    )


def _segment(series: Float, start: int, stop: int, alpha: float, seed: int, splits: dict[int, float]) -> None:
    """Put the significant splits of a segment into ``splits``, with their p-values."""
    part = series[start:stop]
    if len(part) < LEAST:
        return
    centred = part - part.mean()
    total = float(centred @ centred)
    if total == 0:
        return
    own = _sums_of_squares(centred[None])[0]
    random = generator("change-points", seed, start, stop)
    shuffled = random.permuted(np.tile(centred, (PERMUTATIONS, 1)), axis=1)
    least = _sums_of_squares(shuffled).min(axis=1)
    p_value = (1 + int((least <= own.min() + SLACK * total).sum())) / (1 + PERMUTATIONS)
    if p_value > alpha:
        return
    split = start + SIDE + int(own.argmin())
    splits[split] = p_value
    _segment(series, start, split, alpha, seed, splits)
    _segment(series, split, stop, alpha, seed, splits)


def _sums_of_squares(rows: Float) -> Float:
    """Within both sides of every split of every row (m, n) of mean 0: (m, n - 2 * SIDE + 1)."""
    count = rows.shape[1]
    left = np.arange(SIDE, count - SIDE + 1)
    sums = rows.cumsum(axis=1)[:, left - 1]
    between = np.square(sums) * (1 / left + 1 / (count - left))
    return np.asarray(np.square(rows).sum(axis=1, keepdims=True) - between)

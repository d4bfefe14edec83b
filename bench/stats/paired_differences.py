"""How much more one figure is than another on the same samples, with an interval of each pair by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.percentile import percentile_interval
from bench.stats.proportions import PairedTable, paired_difference


def count_difference(first: NDArray[Any], second: NDArray[Any], level: float = LEVEL) -> Interval:
    """Tango's score interval of mean(first) - mean(second), whose samples differ by -1, 0 or 1.

    Args:
        first: Contributions of each sample, whole numbers, (n,): events, or harms by events beside one reference.
        second: Of the same samples, (n,).
        level: Coverage wanted.

    Raises:
        ValueError: The shapes differ, or a sample's difference is another.

    >>> low, high, _ = count_difference(np.r_[np.ones(6), np.zeros(94)], np.zeros(100))
    >>> round(low, 3), round(high, 3)
    (0.021, 0.125)
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1 or one.size == 0:
        raise ValueError(f"paired contributions of shapes {one.shape} and {other.shape}")
    moved = one - other
    if not np.isin(moved, (-1, 0, 1)).all():
        raise ValueError("a sample's difference is none of -1, 0 and 1: these are no events beside one reference")
    return paired_difference(PairedTable(int((moved > 0).sum()), int((moved < 0).sum()), one.size), level)


def drawn_difference(first: NDArray[Any], second: NDArray[Any], samples: int, level: float = LEVEL) -> Interval:
    """Percentile interval of first - second from their values in the same resamples, widened for few samples.

    Args:
        first: The figure in each resample, (B,).
        second: The other in the same resamples, (B,).
        samples: How many samples were resampled.
        level: Coverage wanted.

    Raises:
        ValueError: The shapes differ.

    >>> shared = np.arange(1001.0)
    >>> [round(end, 6) for end in drawn_difference(shared + 0.5, shared, 900)[:2]]  # what both share cancels
    [0.5, 0.5]
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"draws of shapes {one.shape} and {other.shape} are not paired")
    return percentile_interval(one - other, level, samples)

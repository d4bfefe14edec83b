"""Ranges of quantisers: what was seen, or the range with the least squared rounding error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.compression.quantisation.options import Grid

Float = NDArray[np.float64]

SHRINKS = np.arange(1, 101) / 100  # candidates: shares of the full range


@dataclass(frozen=True)
class Ranges:
    """One range a row: low <= 0 <= high, each of shape (rows,)."""

    low: Float
    high: Float


def covering(low: Float, high: Float) -> Ranges:
    """The ranges that hold these values and zero, which must be a value of its own.

    >>> covering(np.array([1.0]), np.array([3.0]))
    Ranges(low=array([0.]), high=array([3.]))
    """
    return Ranges(np.minimum(low, 0.0), np.maximum(high, 0.0))


def rounded(x: Float, ranges: Ranges, bits: int, grid: Grid) -> Float:
    """Values x (rows, n) after rounding to integers of a row's range and back.

    ``(clip(rint(x / s) + z, low, high) - z) s``. Asymmetric: integers 0 to 2^b - 1, ``s = (high - low) / (2^b - 1)``,
    ``z = rint(-low / s)``. Symmetric: -2^(b-1) to 2^(b-1) - 1, ``s = max(-low, high) / 2^(b-1)``, z = 0; narrow: one
    integer less at the low end and ``s = max(-low, high) / (2^(b-1) - 1)``. A range of no width gives zeros.

    >>> rounded(np.array([[-1.0, 0.2, 0.9]]), Ranges(np.array([-1.0]), np.array([0.9])), 2, "symmetric-narrow")
    array([[-1.,  0.,  1.]])
    """
    half = 2 ** (bits - 1)
    if grid == "asymmetric":
        steps, first, last = 2**bits - 1, 0, 2**bits - 1
        width = ranges.high - ranges.low
    else:
        steps, first, last = (half - 1, 1 - half, half - 1) if grid == "symmetric-narrow" else (half, -half, half - 1)
        width = np.maximum(-ranges.low, ranges.high)
    scale = (np.where(width > 0, width, 1.0) / steps)[:, None]
    zero = np.rint(-ranges.low[:, None] / scale) if grid == "asymmetric" else 0.0
    back = (np.clip(np.rint(x / scale) + zero, first, last) - zero) * scale
    return np.where(width[:, None] > 0, back, 0.0)


def least_squares(x: Float, counts: Float, full: Ranges, bits: int, grid: Grid) -> Ranges:
    """The range with the least ``sum counts (x - rounded(x))^2`` a row, among 100 shares of the full one.

    Cutting off rare large values makes the steps for all others finer. Both ends shrink by the same share; of equal
    errors the widest range wins.

    Args:
        x: values (rows, n).
        counts: how often each stands there (rows, n).
        full: the ranges that hold them all.
        bits: of the integers.
        grid: which integers.

    >>> x = np.array([[1.0] * 50 + [1.9]])
    >>> least_squares(x, np.ones_like(x), covering(x.min(1), x.max(1)), 2, "asymmetric").high.round(2)
    array([1.52])
    """
    best = np.full(len(x), np.inf)
    share = np.ones(len(x))
    for shrink in SHRINKS[::-1]:
        cut = Ranges(full.low * shrink, full.high * shrink)
        error = (counts * (x - rounded(x, cut, bits, grid)) ** 2).sum(axis=1)
        better = error < best
        best, share = np.where(better, error, best), np.where(better, shrink, share)
    return Ranges(full.low * share, full.high * share)

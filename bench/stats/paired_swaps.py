"""Tests by swapping the two members of pairs: what would be seen if it did not matter which of them is which."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.resampling import Float
from bench.stats.streams import generator

SLACK = 1e-12  # of differences that are equal but for rounding


def swaps(pairs: int, most: int, *words: str | int) -> NDArray[np.bool_]:
    """Which pairs are swapped, (draws, pairs): all 2^pairs ways where these are at most ``most``, else drawn ones.

    The first swaps none. Of ``most`` drawn ones the others are drawn uniformly, by a generator keyed by ``words``.

    >>> swaps(2, 4).tolist()
    [[False, False], [True, False], [False, True], [True, True]]
    >>> swaps(20, 1000, "seed", 0).shape
    (1000, 20)

    Raises:
        ValueError: no pair, or no draw.
    """
    if pairs < 1 or most < 1:
        raise ValueError(f"{most} swaps of {pairs} pairs: one of each is needed")
    if pairs < 63 and 2**pairs <= most:
        return (np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1).astype(bool)
    drawn = generator("paired swaps", pairs, *words).random((most, pairs)) < 0.5
    drawn[0] = False
    return drawn


def sign_flip_p_values(differences: NDArray[Any], swapped: NDArray[np.bool_]) -> Float:
    """Two-sided p-values (k,) of 'the differences (pairs, k) are symmetric about 0', by their means.

    p = share of the swaps whose |mean of ± d| is at least the one seen (Fisher's randomisation test). Exact where
    ``swapped`` are all 2^pairs ways or drawn with the identity among them: P(p <= a) <= a. Never below 2 / 2^pairs.

    Args:
        differences: Second minus first of each pair, (pairs, k).
        swapped: As ``swaps`` gives them, (draws, pairs).

    Raises:
        ValueError: If the shapes do not fit.

    >>> sign_flip_p_values(np.array([[1.0, 1.0], [2.0, -1.0]]), swaps(2, 4)).tolist()  # |3| in 2 of 4; |0| in all
    [0.5, 1.0]
    """
    table = np.asarray(differences, dtype=np.float64)
    if table.ndim != 2 or swapped.ndim != 2 or swapped.shape[1] != len(table):
        raise ValueError(f"differences of shape {table.shape} and swaps of shape {swapped.shape}")
    means = np.abs(np.where(swapped, -1.0, 1.0) @ table) / len(table)
    seen = np.abs(table.sum(axis=0)) / len(table)
    p_values: Float = (means >= seen - SLACK).mean(axis=0)
    return p_values

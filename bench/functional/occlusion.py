"""Occlusion: how far a score falls where a window is covered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along an axis: every ``stride``, and one that ends where the axis does.

    Raises:
        ValueError: the window is longer than the axis, or the stride than the window, which would leave gaps.

    >>> window_starts(8, window=3, stride=2)
    [0, 2, 4, 5]
    """
    if not 1 <= window <= length:
        raise ValueError(f"a window of {window} does not fit an axis of {length}; give 1 to {length}")
    if not 1 <= stride <= window:
        raise ValueError(f"a stride of {stride} leaves gaps between windows of {window}; give 1 to {window}")
    last = length - window
    return [*range(0, last, stride), last]


def window_corners(shape: Sequence[int], window: int, stride: int) -> NDArray[np.int64]:
    """Where the windows of a map begin, (windows, axes).

    >>> window_corners((3, 2), window=2, stride=1).tolist()
    [[0, 0], [1, 0]]
    """
    return np.array(list(product(*(window_starts(length, window, stride) for length in shape))))


def uncovered(shape: Sequence[int], corners: NDArray[np.int64], window: int) -> NDArray[np.bool_]:
    """Masks (windows, ...) of a map's shape: False where the window covers it.

    >>> uncovered((3,), np.array([[0], [1]]), window=2).astype(int).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    masks = np.ones((len(corners), *shape), dtype=bool)
    for mask, corner in zip(masks, corners, strict=True):
        mask[_place(corner, window)] = False
    return masks


def occlusion_map(
    shape: Sequence[int], corners: NDArray[np.int64], window: int, score: float, covered: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The mean fall of the score over all windows that cover a place (Zeiler and Fergus, arXiv 1311.2901).

    ``a_i = mean over windows w ∋ i of (f(x) − f(x without w))``: positive where the input speaks for the class.

    Args:
        shape: of the map.
        corners: where the windows begin, (windows, axes); together they cover the map.
        window: places a side.
        score: of the whole input.
        covered: the score under each window, (windows,).

    >>> occlusion_map((3,), np.array([[0], [1]]), 2, 5.0, np.array([1.0, 3.0])).tolist()
    [4.0, 3.0, 2.0]
    """
    total, count = np.zeros(tuple(shape)), np.zeros(tuple(shape))
    for corner, fall in zip(corners, score - covered, strict=True):
        total[_place(corner, window)] += fall
        count[_place(corner, window)] += 1
    return np.asarray(total / count)


def _place(corner: NDArray[np.int64], window: int) -> tuple[slice, ...]:
    return tuple(slice(start, start + window) for start in corner.tolist())

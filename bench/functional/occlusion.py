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


def occlusion_masks(shape: Sequence[int], window: int, stride: int) -> NDArray[np.bool_]:
    """Masks (windows, ...) of a map's shape: False where the window covers it.

    >>> occlusion_masks((3,), window=2, stride=1).astype(int).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    corners = list(product(*(window_starts(length, window, stride) for length in shape)))
    masks = np.ones((len(corners), *shape), dtype=bool)
    for mask, corner in zip(masks, corners, strict=True):
        mask[tuple(slice(start, start + window) for start in corner)] = False
    return masks


def occlusion_map(masks: NDArray[np.bool_], score: float, covered: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean fall of the score over all windows that cover a place (Zeiler and Fergus, arXiv 1311.2901).

    ``a_i = mean over windows w ∋ i of (f(x) − f(x without w))``: positive where the image speaks for the class.

    Args:
        masks: (windows, ...), False where a window covers it; every place is covered by some.
        score: of the whole image.
        covered: the score under each window, (windows,).

    >>> occlusion_map(occlusion_masks((3,), 2, 1), 5.0, np.array([1.0, 3.0])).tolist()
    [4.0, 3.0, 2.0]
    """
    windows = ~masks
    fall = np.tensordot(score - covered, windows.astype(np.float64), axes=1)
    return np.asarray(fall / windows.sum(axis=0))

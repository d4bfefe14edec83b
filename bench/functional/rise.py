"""RISE: randomised input sampling for explanation."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

ENTRIES: Final = 2**22  # pixels of masks enlarged together


class CoarseMasks(NamedTuple):
    """Masks before they are enlarged: bits at the points of a lattice, and how far the lattice is shifted."""

    bits: NDArray[np.float32]  # (masks, grid + 2, grid + 2), 0 or 1
    shifts: NDArray[np.float64]  # (masks, 2), in cells, in [0, 1)


def draw_masks(random: np.random.Generator, count: int, grid: int, shown: float) -> CoarseMasks:
    """Draw so many masks: every bit is 1 with the probability ``shown``, every shift is uniform.

    >>> draw_masks(np.random.default_rng(0), 2, grid=3, shown=0.5).bits.shape
    (2, 5, 5)
    """
    bits = random.random((count, grid + 2, grid + 2)) < shown
    return CoarseMasks(bits.astype(np.float32), random.random((count, 2)))


def enlarge(masks: CoarseMasks, height: int, width: int) -> NDArray[np.float32]:
    """Masks (n, height, width) in [0, 1]: the lattice enlarged bilinearly, ``grid`` cells a side, and shifted.

    The expected value of every pixel is that of a bit.

    >>> ones = CoarseMasks(np.ones((1, 4, 4), np.float32), np.array([[0.3, 0.6]]))
    >>> enlarge(ones, 3, 5).round(6).tolist() == [[[1.0] * 5] * 3]
    True
    """
    rows, columns = (_weights(masks, axis, size) for axis, size in ((0, height), (1, width)))
    enlarged = np.matmul(np.matmul(rows, masks.bits), columns.transpose(0, 2, 1))
    return np.asarray(enlarged, dtype=np.float32)


def _weights(masks: CoarseMasks, axis: int, size: int) -> NDArray[np.float32]:
    """Bilinear weights (n, size, points) of the lattice's points at each pixel's centre."""
    points = masks.bits.shape[1]
    place = (np.arange(size) + 0.5) * (points - 2) / size + masks.shifts[:, axis, None]
    distance = np.abs(place[:, :, None] - np.arange(points))
    return np.asarray(np.maximum(1.0 - distance, 0.0), dtype=np.float32)


def rise_map(
    masks: CoarseMasks, scores: NDArray[np.float64], shown: float, height: int, width: int
) -> NDArray[np.float64]:
    """How much higher the score is where a pixel is shown, (height, width).

    ``S_i = 1 / (N p) Σ_j (f_j − mean f) m_ji``, that of Petsiuk et al. (arXiv 1806.07421) less the mean score: an
    offset that all pixels share says nothing of where, and would make all maps alike.

    Args:
        masks: N masks m, not yet enlarged.
        scores: f, the score of the image under each mask, (N,).
        shown: p, the expected value of a mask's pixel.
        height: of the map.
        width: of the map.

    >>> bits = np.zeros((2, 3, 3), np.float32)
    >>> bits[0] = 1  # the whole image, and nothing of it
    >>> rise_map(CoarseMasks(bits, np.zeros((2, 2))), np.array([4.0, 0.0]), 0.5, height=1, width=2).round(6).tolist()
    [[2.0, 2.0]]
    """
    centred, total = scores - scores.mean(), np.zeros((height, width))
    step = max(1, ENTRIES // (height * width))
    for start in range(0, len(centred), step):
        part = slice(start, start + step)
        enlarged = enlarge(CoarseMasks(masks.bits[part], masks.shifts[part]), height, width)
        total += np.tensordot(centred[part], enlarged.astype(np.float64), axes=1)
    return total / (len(centred) * shown)

"""Blurs by points: the mean of an image and its copies moved to each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.functional.corruptions.base import Image


def point_kernel(down: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The kernel (2r + 1, 2r + 1) that moves an image to each point, linearly between pixels, and takes the mean.

    ``k_ij = mean over points p of max(0, 1 − |p_down − i|) max(0, 1 − |p_right − j|)``; it sums to 1.

    Args:
        down: of the points, in pixels, (m,).
        right: of the points, in pixels, (m,).

    >>> point_kernel(np.array([0.0, 0.0]), np.array([0.0, 0.5])).tolist()  # half stays, half lies between two pixels
    [[0.0, 0.0, 0.0], [0.0, 0.75, 0.25], [0.0, 0.0, 0.0]]
    """
    reach = int(np.ceil(max(np.abs(down).max(), np.abs(right).max())))
    places = np.arange(-reach, reach + 1)
    rows, columns = (np.maximum(0.0, 1.0 - np.abs(axis[:, None] - places)) for axis in (down, right))
    return np.asarray(rows.T @ columns / len(down))


def blurred(image: Image, kernel: NDArray[np.float64]) -> Image:
    """The image under a kernel (2r + 1, 2r + 1), edge pixels repeated beyond the edge: (channels, h, w) to the same.

    >>> blurred(np.array([[[0.0, 1.0, 1.0]]]), np.array([[0, 0, 0], [0.25, 0.5, 0.25], [0, 0, 0]])).round(9).tolist()
    [[[0.25, 0.75, 1.0]]]
    """
    from scipy.signal import fftconvolve

    reach = len(kernel) // 2
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    return np.asarray(fftconvolve(padded, kernel[None], mode="valid", axes=(1, 2)))

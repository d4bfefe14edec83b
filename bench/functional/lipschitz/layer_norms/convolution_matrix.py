"""The matrix of a convolution, entry by entry: for small layers."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from bench.functional.lipschitz.layer_norms.geometry import Axis

Float = NDArray[np.float64]


def convolution_matrices(kernel: Float, axes: tuple[Axis, ...], circular: bool = False) -> Float:
    """The matrix of each group: (groups, outputs · output pixels, inputs · input pixels).

    Args:
        kernel: (groups, outputs of a group, inputs of a group, taps ...).
        axes: One for each axis of taps.
        circular: Whether what lies beyond one end of an axis is read from the other end, and not 0.

    >>> convolution_matrices(np.array([[[[1.0, -1.0]]]]), (Axis(size=3, kernel=2),)).tolist()
    [[[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]]]
    """
    groups, rows, columns = kernel.shape[:3]
    found = kernel
    for axis in axes:  # each takes the first axis of taps away and puts (output pixels, input pixels) at the end
        found = np.tensordot(found, _taps_to_pixels(axis, circular), axes=(3, 0))
    count = len(axes)
    outputs, inputs = range(3, 3 + 2 * count, 2), range(4, 4 + 2 * count, 2)
    shape = (groups, rows * prod(axis.outputs for axis in axes), columns * prod(axis.size for axis in axes))
    return np.ascontiguousarray(found.transpose(0, 1, *outputs, 2, *inputs)).reshape(shape)


def _taps_to_pixels(axis: Axis, circular: bool) -> Float:
    """1 where tap t of window o lies on pixel j, else 0: (taps, outputs, pixels)."""
    positions = axis.positions()
    if circular:
        positions = positions % axis.size
    return np.asarray(positions.T[:, :, None] == np.arange(axis.size), dtype=np.float64)

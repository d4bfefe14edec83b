"""Lipschitz constants of pooling layers, exact: what one axis does multiplies with what the others do."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.functional.lipschitz.certificate import LayerNorm, Norm
from bench.functional.lipschitz.layer_norms.geometry import Axis, Ints, Padding, axes, each_axis
from bench.functional.lipschitz.layer_norms.largest_norm import Ends, largest_norm
from bench.functional.lipschitz.layer_norms.rounding import inward, outward, sum_slack

Float: TypeAlias = NDArray[np.float64]


def max_pool(
    size: Ints,
    kernel: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    norm: Norm = "l2",
    layer: str = "max pool",
) -> LayerNorm:
    """The Lipschitz constant of max pooling: ``√(the most windows over one pixel)`` in l_2, 1 in l_∞; exact.

    ``|max_W x − max_W y| ≤ max_W |x − y|``, so each pixel of x − y counts at most once for each window over it; reached
    where that pixel alone differs and is the largest. Windows are counted on the true map: small maps and paddings
    cut them. Padding never is the maximum.

    Args:
        size: Pixels of the input along each axis; as many axes as here are pooled.
        kernel: Pixels of a window.
        stride: By default the kernel's size.
        padding: A number, numbers along each axis or pairs (before, after).
        dilation: Pixels between those of a window.
        ceil_mode: Whether the last window may reach beyond the padding.
        norm: ``l2`` or ``linf``.
        layer: Its name.

    Raises:
        ValueError: no window fits, one holds nothing but padding, or numbers and axes do not fit.

    >>> round(max_pool((28, 28), 3, stride=2).upper, 6), round(max_pool((4, 4), 3, stride=1).upper, 6)
    (2.0, 2.0)
    """
    line = _axes(size, kernel, stride, padding, dilation, ceil_mode, layer)
    if not all(axis.inside().any(axis=1).all() for axis in line):
        raise ValueError(f"{layer}: a window holds nothing but padding, its maximum is −∞; less padding is needed")
    if norm == "linf":
        return LayerNorm(layer, 1.0, "maximum", 1.0)
    return _by_windows(prod(int(axis.windows_over_pixels().max()) for axis in line), layer)


def average_pool(
    size: Ints,
    kernel: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    norm: Norm = "l2",
    layer: str = "average pool",
) -> LayerNorm:
    """The norm of average pooling, exact: its matrix is the Kronecker product of one small matrix for each axis.

    ``‖A_1 ⊗ A_2‖ = ‖A_1‖ · ‖A_2‖`` in l_2 and in l_∞ (where it is at most 1); by SVD of each. Arguments and errors as
    in ``max_pool``; ``count_include_pad``: whether padding counts as zeros in an average (torch's default; not ONNX's).

    >>> norm = average_pool((8, 8), 2)
    >>> round(norm.upper, 6), norm.rule
    (0.5, 'SVD along each axis')
    """
    line = _axes(size, kernel, stride, padding, 1, ceil_mode, layer)
    return _by_axis([_averages(axis, count_include_pad) for axis in line], norm, layer)


def adaptive_average_pool(size: Ints, outputs: Ints, norm: Norm = "l2", layer: str = "average pool") -> LayerNorm:
    """The norm of adaptive average pooling to so many outputs along each axis, exact; 1 output: the global average.

    Window i of m over n pixels reaches from ``⌊i n / m⌋`` to ``⌈(i + 1) n / m⌉`` (torch). The global average over P
    pixels has ``1 / √P`` in l_2, 1 in l_∞.

    Raises:
        ValueError: a number is below 1.

    >>> round(adaptive_average_pool((4, 4), 1).upper, 6)
    0.25
    """
    windows = _adaptive_windows(size, outputs, layer)
    return _by_axis([window / window.sum(axis=1, keepdims=True) for window in windows], norm, layer)


def adaptive_max_pool(size: Ints, outputs: Ints, norm: Norm = "l2", layer: str = "max pool") -> LayerNorm:
    """The Lipschitz constant of adaptive max pooling, exact: as ``max_pool`` on the windows of the adaptive average.

    >>> round(adaptive_max_pool(5, 3).upper, 6)  # windows 0-1, 1-3, 3-4: two over pixel 1
    1.414214
    """
    windows = _adaptive_windows(size, outputs, layer)
    if norm == "linf":
        return LayerNorm(layer, 1.0, "maximum", 1.0)
    return _by_windows(prod(int(window.sum(axis=0).max()) for window in windows), layer)


def _by_windows(count: int, layer: str) -> LayerNorm:
    slack = 0.0 if count == 1 else sum_slack(1)
    root = count**0.5
    upper, lower = (1.0, 1.0) if count == 1 else (outward(root, slack), inward(root, slack))
    return LayerNorm(layer, upper, f"root of {count} windows over one pixel", lower)


def _by_axis(matrices: list[Float], norm: Norm, layer: str) -> LayerNorm:
    if norm == "linf":
        rule, found = "row sums along each axis", [_row_sums(matrix) for matrix in matrices]
    else:
        rule, found = "SVD along each axis", [largest_norm(matrix[None]) for matrix in matrices]
    slack = sum_slack(len(matrices))
    upper = outward(prod(ends.upper for ends in found), slack)
    lower = inward(prod(ends.lower for ends in found), slack)
    return LayerNorm(layer, upper, rule, lower)


def _row_sums(matrix: Float) -> Ends:
    largest, slack = float(matrix.sum(axis=1).max()), sum_slack(matrix.shape[1])
    return Ends(outward(largest, slack), inward(largest, slack), "row sums")


def _averages(axis: Axis, count_include_pad: bool) -> Float:
    """The matrix of averages along one axis, (outputs, pixels)."""
    inside, positions = axis.inside(), axis.positions()
    # torch: with padding a window ends at the padding's end, beyond which nothing counts
    counted = positions < axis.size + axis.after if count_include_pad else inside
    matrix = np.zeros((axis.outputs, axis.size))
    rows, taps = np.nonzero(inside)
    matrix[rows, positions[rows, taps]] = 1.0 / counted.sum(axis=1)[rows]
    return matrix


def _adaptive_windows(size: Ints, outputs: Ints, layer: str) -> list[Float]:
    """1 where a pixel is in a window, (outputs, pixels), for each axis."""
    given = (size, outputs)
    count = max(len(value) if isinstance(value, Sequence) else 1 for value in given)
    sizes, numbers = (each_axis(value, count, f"{layer}: size or outputs") for value in given)
    if min(*sizes, *numbers) < 1:
        raise ValueError(f"{layer}: {numbers} outputs of {sizes} pixels; at least 1 is needed")
    found = []
    for n, m in zip(sizes, numbers, strict=True):
        i, pixel = np.arange(m)[:, None], np.arange(n)
        found.append(((pixel >= i * n // m) & (pixel < -(-(i + 1) * n // m))).astype(np.float64))
    return found


def _axes(
    size: Ints, kernel: Ints, stride: Ints | None, padding: Padding, dilation: Ints, ceil_mode: bool, layer: str
) -> tuple[Axis, ...]:
    count = max(len(value) if isinstance(value, Sequence) else 1 for value in (size, kernel))
    taps = each_axis(kernel, count, f"{layer}: kernel")
    try:
        return axes(size, taps, taps if stride is None else stride, padding, dilation, ceil_mode)
    except ValueError as error:
        raise ValueError(f"{layer}: {error}") from None

"""Norms of one convolution or transposed convolution."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.functional.lipschitz.certificate import LayerNorm
from bench.functional.lipschitz.layer_norms.convolution_matrix import convolution_matrices
from bench.functional.lipschitz.layer_norms.geometry import Axis, Ints, Padding, axes, each_axis, paddings
from bench.functional.lipschitz.layer_norms.largest_norm import largest_norm
from bench.functional.lipschitz.layer_norms.rounding import UNIT, finite_array, inward, outward, sum_slack
from bench.functional.lipschitz.layer_norms.symbol import circular_grid, symbol_norm, zero_padded_grid

Float = NDArray[np.float64]

EXACT_ENTRIES = 2**24  # of the matrices of a layer that is measured itself: 128 MiB
EXACT_COST = 2**35  # groups · smaller side² · larger side of such a layer: seconds


def convolution_l2(
    kernel: Any,
    size: Ints,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    exact: bool = True,
    layer: str = "convolution",
) -> LayerNorm:
    """An upper end of the spectral norm of one convolution, for images of one size.

    Small layers: the norm of the operator's own matrix, both ends. Else the largest spectral norm of the symbol on a
    circle on which nothing wraps around (``zero_padded_grid``); stride through phases, the largest over groups.
    Circular padding: the circle is the operator, both ends where the stride divides the size. A transposed convolution
    has the norm of the convolution that it is the transpose of: give the same kernel, and ``transposed_size`` as size.
    One layer at a time: the kernel of two layers, composed, gives no bound on the two.

    Args:
        kernel: (outputs, inputs / groups, taps ...), one or more axes of taps.
        size: Pixels of the input along each axis.
        stride: Along each axis, as ``padding`` and ``dilation``.
        padding: A number, numbers along each axis or pairs (before, after), ``valid`` or ``same``.
        dilation: Pixels between taps.
        groups: Blocks of channels that do not see each other.
        padding_mode: ``zeros`` or ``circular``.
        exact: Whether a small layer is measured by its own matrix.
        layer: Its name.

    Returns:
        Range [0, ∞), slack included. ``lower`` is 0 where only the bound is known.

    Raises:
        ValueError: another padding mode, shapes that do not fit, or numbers that are NaN or infinite.

    >>> norm = convolution_l2(np.array([[[1.0, -1.0]]]), size=3)  # [[1, −1, 0], [0, 1, −1]]
    >>> round(norm.upper, 6), norm.rule
    (1.732051, 'SVD of the operator')
    >>> round(convolution_l2(np.array([[[1.0, -1.0]]]), size=4, exact=False).upper, 6)
    2.0
    """
    array, line = _layer(kernel, size, stride, padding, dilation, groups, padding_mode, layer)
    rows = len(array[0]) * prod(axis.outputs for axis in line)
    columns = array.shape[2] * prod(axis.size for axis in line)
    small, large = sorted((rows, columns))
    circular = padding_mode == "circular"
    whole = not circular or all(axis.extent <= axis.size for axis in line)  # no two taps on one pixel
    if exact and whole and groups * small * large <= min(EXACT_ENTRIES, EXACT_COST / small):
        found = largest_norm(convolution_matrices(array, line, circular))
        return LayerNorm(layer, found.upper, f"{found.rule} of the operator", found.lower)
    grids = tuple((circular_grid if circular else zero_padded_grid)(axis) for axis in line)
    found = symbol_norm(array, grids)
    repeats = prod(grid.repeats for grid in grids)
    upper = found.upper if repeats == 1 else outward(found.upper * repeats**0.5, 1e-15)
    lower = found.lower if all(grid.exact for grid in grids) else 0.0
    points = "×".join(str(grid.points) for grid in grids)
    return LayerNorm(layer, upper, f"symbol on {points} frequencies, {found.rule}", lower)


def convolution_linf(
    kernel: Any,
    size: Ints,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    transposed: bool = False,
    layer: str = "convolution",
) -> LayerNorm:
    """The norm from l_∞ to l_∞ of one convolution, exact: the largest absolute row sum of its matrix.

    ``max_{c, o} Σ_{i, t} |K_{c i t}|`` over the taps t that lie on a pixel at output o. For the transposed convolution
    the largest column sum, over the outputs c and taps t that reach an input pixel. Arguments and errors as in
    ``convolution_l2``.

    >>> norm = convolution_linf(np.array([[[1.0, -2.0, 4.0]]]), size=2, padding=1)  # [[−2, 4], [1, −2]]
    >>> round(norm.upper, 9), round(norm.lower, 9)
    (6.0, 6.0)
    """
    array, line = _layer(kernel, size, stride, padding, dilation, groups, padding_mode, layer)
    sums, absolute = array, 0.0
    if padding_mode == "circular":
        sums, reaches = _folded(array, line), [_circular_reach(axis, transposed) for axis in line]
        absolute = 2 * UNIT * prod(array.shape[3:]) * float(np.abs(array).sum(axis=(1, 2)).max())
    else:
        reaches = [_reach(axis, transposed) for axis in line]
    sums = np.abs(sums).sum(axis=1 if transposed else 2)  # (groups, channels, taps ...)
    for reach in reaches:  # each takes the first axis of taps away and puts pixels at the end
        sums = np.tensordot(sums, reach, axes=(2, 1))
    largest, slack = float(sums.max()), sum_slack(array.size)
    lower = inward(largest - absolute, slack)
    return LayerNorm(layer, outward(largest, slack, absolute), "row sums of the operator", lower)


def transposed_size(
    size: Ints,
    taps: tuple[int, ...],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    output_padding: Ints = 0,
) -> tuple[int, ...]:
    """Pixels of a transposed convolution's output: the input of the convolution whose transpose it is.

    ``(size − 1) · stride − before − after + dilation · (taps − 1) + 1 + output_padding``.

    Raises:
        ValueError: no pixel is left, or output padding reaches the stride: then it is no convolution's transpose.

    >>> transposed_size(3, (3,), stride=2, padding=1, output_padding=1)
    (6,)
    """
    strides, dilations = each_axis(stride, len(taps), "stride"), each_axis(dilation, len(taps), "dilation")
    pads = paddings(padding, taps, strides, dilations)
    sizes, extra = each_axis(size, len(taps), "size"), each_axis(output_padding, len(taps), "output padding")
    if any(not 0 <= more < step for more, step in zip(extra, strides, strict=True)):
        raise ValueError(f"output padding {extra} at stride {strides}; it must be at least 0 and below the stride")
    found = tuple(
        (sizes[a] - 1) * strides[a] - sum(pads[a]) + dilations[a] * (taps[a] - 1) + 1 + extra[a]
        for a in range(len(taps))
    )
    if min(found) < 1:
        raise ValueError(f"an output of {found} pixels; at least 1 along each axis is needed")
    return found


def _layer(
    kernel: Any, size: Ints, stride: Ints, padding: Padding, dilation: Ints, groups: int, mode: str, layer: str
) -> tuple[Float, tuple[Axis, ...]]:
    """The kernel as (groups, outputs of a group, inputs of a group, taps ...), and its axes."""
    array = finite_array(kernel, layer)
    if array.ndim < 3:
        raise ValueError(f"{layer}: a kernel of shape {array.shape}; (outputs, inputs / groups, taps ...) is needed")
    if mode not in ("zeros", "circular"):
        raise ValueError(f"{layer}: padding mode {mode!r} is not supported; 'zeros' and 'circular' are")
    if groups < 1 or len(array) % groups:
        raise ValueError(f"{layer}: {len(array)} outputs in {groups} groups; groups must divide the outputs")
    try:
        line = axes(size, array.shape[2:], stride, padding, dilation)
    except ValueError as error:
        raise ValueError(f"{layer}: {error}") from None
    return array.reshape(groups, len(array) // groups, *array.shape[1:]), line


def _reach(axis: Axis, transposed: bool) -> Float:
    """1 where tap t of output o lies on a pixel, (outputs, taps); transposed: where t of an output lies on pixel j."""
    inside = axis.inside()
    if not transposed:
        return inside.astype(np.float64)
    found = np.zeros((axis.size, axis.kernel))
    outputs, taps = np.nonzero(inside)
    found[axis.positions()[outputs, taps], taps] = 1.0
    return found


def _folded(array: Float, line: tuple[Axis, ...]) -> Float:
    """The kernel with one tap for each pixel of the circle that output 0 sees."""
    for axis in line:
        circle = axis.positions()[0][:, None] % axis.size == np.arange(axis.size)
        array = np.tensordot(array, circle.astype(np.float64), axes=(3, 0))
    return array


def _circular_reach(axis: Axis, transposed: bool) -> Float:
    """How many outputs read pixel j through tap t of the circle, (pixels, taps); not transposed: every tap is read."""
    if not transposed:
        return np.ones((1, axis.size))
    found = np.zeros((axis.size, axis.size))
    for output in range(axis.outputs):
        found[(output * axis.stride + np.arange(axis.size)) % axis.size, np.arange(axis.size)] += 1
    return found

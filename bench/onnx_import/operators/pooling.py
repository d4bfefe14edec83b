"""Maximum, average and p-norm pooling, over windows and over all positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import torch
from torch.nn import functional

from bench.onnx_import.operators.convolution import padded, paddings, positive
from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import allowed, sizes

_MAXIMUM: dict[int, Callable[..., Any]] = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_MEAN = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


@dataclass(frozen=True)
class _Windows:
    """The windows of a pool."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: list[tuple[int, int]]  # as declared
    overhang: list[int]  # by how much the last window of each axis exceeds the padded input, in ceil mode

    @property
    def whole(self) -> list[tuple[int, int]]:
        return [(before, after + more) for (before, after), more in zip(self.pads, self.overhang, strict=True)]


def _windows(node: OnnxNode, x: torch.Tensor) -> _Windows:
    axes = x.ndim - 2
    kernel = positive(node.get("kernel_shape"), "kernel_shape")
    strides = positive(node.get("strides", [1] * axes), "strides")
    dilations = positive(node.get("dilations", [1] * axes), "dilations")
    pads = paddings(node, x.shape, kernel, strides, dilations)
    overhang = [0] * axes
    if node.get("ceil_mode", 0):
        for i, size in enumerate(x.shape[2:]):
            extent = (kernel[i] - 1) * dilations[i] + 1
            spare = size + sum(pads[i]) - extent
            steps = -(-spare // strides[i])
            if steps * strides[i] >= size + pads[i][0]:  # a window that starts in the padding after is left out
                steps -= 1
            overhang[i] = max(steps * strides[i] - spare, 0)
    return _Windows(kernel, strides, dilations, pads, overhang)


@operator("MaxPool", codes=True)
def max_pool(node: OnnxNode, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """The largest of each window, and where it lies in the flattened input if that is asked for."""
    windows = _windows(node, x)
    numbers = x if x.is_floating_point() else x.double()
    whole = padded(numbers, windows.whole, -torch.inf)
    wants_indices = len([name for name in node.outputs if name]) > 1
    pooled = _MAXIMUM[x.ndim - 2](
        whole, windows.kernel, windows.strides, 0, windows.dilations, False, return_indices=wants_indices
    )
    if not wants_indices:
        alone: torch.Tensor = pooled.to(x.dtype)
        return alone
    largest, positions = pooled
    return largest.to(x.dtype), _flat_indices(node, x.shape, positions, whole.shape, windows)


def _flat_indices(
    node: OnnxNode, shape: torch.Size, positions: torch.Tensor, whole: torch.Size, windows: _Windows
) -> torch.Tensor:
    """Positions in one padded plane as positions in the whole input."""
    coordinates = []
    for size, (before, _) in zip(reversed(whole[2:]), reversed(windows.whole), strict=True):
        coordinates.append(positions % size - before)
        positions = positions // size
    axes = list(zip(shape[2:], reversed(coordinates), strict=True))
    if node.get("storage_order", 0):
        axes.reverse()
    planes = torch.arange(prod(shape[:2]), device=positions.device).reshape(*shape[:2], *[1] * len(axes))
    flat = planes
    for size, coordinate in axes:
        flat = flat * size + coordinate
    return flat


@operator("MaxUnpool")
def max_unpool(
    node: OnnxNode, x: torch.Tensor, indices: torch.Tensor, output_shape: torch.Tensor | None = None
) -> torch.Tensor:
    """The values put back to the positions they came from, zero elsewhere."""
    axes = x.ndim - 2
    kernel, strides = node.get("kernel_shape"), positive(node.get("strides", [1] * axes), "strides")
    pads = node.get("pads", [0] * 2 * axes)
    spatial = [
        (size - 1) * stride + k - pads[i] - pads[axes + i]
        for i, (size, stride, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
    ]
    inferred = [*x.shape[:2], *spatial]
    wanted = inferred if output_shape is None else sizes(output_shape)
    y = x.new_zeros(prod(allowed(inferred, x.numel()))).scatter(0, indices.reshape(-1), x.reshape(-1)).reshape(inferred)
    grown = [(0, size - had) for size, had in zip(wanted[2:], spatial, strict=True)]
    return padded(y, grown, 0.0)


def _window_sum(x: torch.Tensor, windows: _Windows) -> torch.Tensor:
    """The sum over each window of a padded input."""
    if set(windows.dilations) == {1}:
        return _MEAN[x.ndim - 2](x, windows.kernel, windows.strides) * prod(windows.kernel)
    counts = [
        (size - (k - 1) * dilation - 1) // stride + 1
        for size, k, dilation, stride in zip(
            x.shape[2:], windows.kernel, windows.dilations, windows.strides, strict=True
        )
    ]
    if prod(windows.kernel) > x[0, 0].numel():
        raise ValueError(f"kernel_shape of {windows.kernel}")
    total = x.new_zeros((*x.shape[:2], *counts))
    for offsets in product(*(range(k) for k in windows.kernel)):
        part = x
        for i, offset in enumerate(offsets):
            start = offset * windows.dilations[i]
            stop = start + (counts[i] - 1) * windows.strides[i] + 1
            part = part[(slice(None),) * (2 + i) + (slice(start, stop, windows.strides[i]),)]
        total = total + part
    return total


@operator("AveragePool")
def average_pool(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The mean of each window; the padding counts only if ``count_include_pad`` says so."""
    windows = _windows(node, x)
    total = _window_sum(padded(x, windows.whole, 0.0), windows)
    if not any(before or after for before, after in windows.whole):
        return total / prod(windows.kernel)
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    counted = padded(ones, windows.pads, 1.0 if node.get("count_include_pad", 0) else 0.0)
    beyond = [(0, more) for more in windows.overhang]
    return total / _window_sum(padded(counted, beyond, 0.0), windows).round()


@operator("LpPool", since=2)
def lp_pool(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The p-norm of each window."""
    windows = _windows(node, x)
    p = node.number("p", 2)
    return _window_sum(padded(x.abs() ** p, windows.whole, 0.0), windows) ** (1.0 / p)


@operator("GlobalAveragePool")
def global_average_pool(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The mean over all spatial axes."""
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool", codes=True)
def global_max_pool(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The largest over all spatial axes."""
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalLpPool", since=2)
def global_lp_pool(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The p-norm over all spatial axes."""
    p = node.number("p", 2)
    return (x.abs() ** p).sum(tuple(range(2, x.ndim)), keepdim=True) ** (1.0 / p)

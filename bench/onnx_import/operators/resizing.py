"""Resizing: along one axis after the other, each a matrix of interpolation weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np
import torch
from numpy.typing import NDArray

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import allowed, sizes

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sampling:
    """The sampling of one axis anew."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    antialias: bool = False
    exclude_outside: bool = False


def positions(size: int, out: int, scale: float, coordinates: str, roi: tuple[float, float] = (0.0, 1.0)) -> _Floats:
    """The position in the input of each element of the output (out,).

    >>> positions(2, 4, 2.0, "half_pixel").tolist()
    [-0.25, 0.25, 0.75, 1.25]
    """
    y = np.arange(out, dtype=np.float64)
    exact = scale * size
    if coordinates == "align_corners":
        return np.zeros(out) if exact == 1 else y * (size - 1) / (exact - 1)
    if coordinates == "asymmetric":
        return y / scale
    if coordinates == "tf_crop_and_resize":
        start, end = roi
        if exact == 1:
            return np.full(out, (start + end) * (size - 1) / 2)
        return start * (size - 1) + y * (end - start) * (size - 1) / (exact - 1)
    if coordinates == "pytorch_half_pixel" and exact == 1:
        return np.full(out, -0.5)
    shift = size / 2 * (1 - out / exact) if coordinates == "half_pixel_symmetric" else 0.0
    if coordinates not in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        raise ValueError(f"coordinate_transformation_mode {coordinates!r}")
    return shift + (y + 0.5) / scale - 0.5


def _nearest(x: _Floats, how: str) -> NDArray[np.int64]:
    if how.startswith("round_prefer_"):
        rounded = np.ceil(x - 0.5) if how == "round_prefer_floor" else np.floor(x + 0.5)
    else:
        rounded = np.floor(x) if how == "floor" else np.ceil(x)
    return np.asarray(rounded, dtype=np.int64)


def _kernel(distance: _Floats, sampling: Sampling) -> _Floats:
    d = np.abs(distance)
    if sampling.mode == "linear":
        return np.asarray(np.maximum(1 - d, 0.0), dtype=np.float64)
    a = sampling.cubic
    inner = ((a + 2) * d - (a + 3)) * d * d + 1
    outer = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, inner, np.where(d < 2, outer, 0.0))


def weights(x: _Floats, size: int, scale: float, sampling: Sampling) -> _Floats:
    """The matrix (out, size) that takes an axis to its values at positions x (out,); rows sum to one.

    >>> weights(np.array([0.25]), 2, 2.0, Sampling("linear")).tolist()
    [[0.75, 0.25]]
    """
    out = np.arange(len(x))
    if sampling.mode == "nearest":
        matrix = np.zeros((len(x), size))
        matrix[out, np.clip(_nearest(x, sampling.nearest), 0, size - 1)] = 1
        return matrix
    if sampling.mode not in ("linear", "cubic"):
        raise ValueError(f"mode {sampling.mode!r}")
    shrink = min(scale, 1.0) if sampling.antialias else 1.0
    reach = int(np.ceil((1 if sampling.mode == "linear" else 2) / shrink)) + 1
    around = np.floor(x).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    values = _kernel((around - x[:, None]) * shrink, sampling)
    if sampling.exclude_outside:
        values = np.where((around < 0) | (around >= size), 0.0, values)
    values /= values.sum(1, keepdims=True)
    matrix = np.zeros((len(x), size))
    np.add.at(matrix, (np.broadcast_to(out[:, None], around.shape), np.clip(around, 0, size - 1)), values)
    return matrix


def _along(x: torch.Tensor, axis: int, matrix: _Floats) -> torch.Tensor:
    """The matrix applied to one axis."""
    if ((matrix == 0) | (matrix == 1)).all() and (matrix.sum(1) == 1).all():
        return x.index_select(axis, torch.from_numpy(matrix.argmax(1)).to(x.device))
    numbers = x if x.is_floating_point() else x.double()
    operand = torch.from_numpy(matrix).to(numbers)
    y: torch.Tensor = torch.tensordot(numbers, operand, dims=([axis], [1]))
    return y.movedim(-1, axis).to(x.dtype)


@operator("Upsample", since=7, codes=True)
def upsample(node: OnnxNode, x: torch.Tensor, scales: torch.Tensor | None = None) -> torch.Tensor:
    """Nearest or linear, to floor(scale size)."""
    factors = node.get("scales") if scales is None else scales.tolist()
    return _resized(x, [(float(f), floor(n * f)) for f, n in zip(factors, x.shape, strict=True)], _asymmetric(node))


@operator("Resize", since=10, codes=True)
def resize_asymmetric(node: OnnxNode, x: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Resize as Upsample does, and downwards too."""
    return upsample(node, x, scales)


def _asymmetric(node: OnnxNode) -> Sampling:
    mode = node.get("mode", "nearest")
    return Sampling("linear" if mode == "bilinear" else mode, "asymmetric", "floor")


@operator("Resize", since=11, codes=True)
def resize(
    node: OnnxNode,
    x: torch.Tensor,
    roi: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Nearest, linear or cubic, by scales or to sizes."""
    axes = [axis % x.ndim for axis in node.get("axes", range(x.ndim))]
    plan = [(1.0, size) for size in x.shape]
    for axis, step in zip(axes, _steps(node, [x.shape[axis] for axis in axes], scales, out), strict=True):
        plan[axis] = step
    sampling = Sampling(
        node.get("mode", "nearest"),
        node.get("coordinate_transformation_mode", "half_pixel"),
        node.get("nearest_mode", "round_prefer_floor"),
        node.get("cubic_coeff_a", -0.75),
        bool(node.get("antialias", 0)),
        bool(node.get("exclude_outside", 0)),
    )
    boxes = [(0.0, 1.0)] * x.ndim
    if sampling.coordinates == "tf_crop_and_resize" and roi is not None:
        box = roi.tolist()
        for i, axis in enumerate(axes):
            boxes[axis] = (box[i], box[len(axes) + i])
    return _resized(x, plan, sampling, boxes, node.get("extrapolation_value", 0.0))


def _steps(
    node: OnnxNode, shape: list[int], scales: torch.Tensor | None, out: torch.Tensor | None
) -> list[tuple[float, int]]:
    """The scale and the size of each resized axis."""
    if scales is not None and scales.numel():
        factors = [float(factor) for factor in scales.tolist()]
        return [(factor, floor(factor * size)) for factor, size in zip(factors, shape, strict=True)]
    if out is None:
        raise ValueError("neither scales nor sizes")
    wanted, policy = sizes(out), node.get("keep_aspect_ratio_policy", "stretch")
    ratios = [target / size for target, size in zip(wanted, shape, strict=True)]
    if policy == "stretch":
        return list(zip(ratios, wanted, strict=True))
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return [(ratio, floor(ratio * size + 0.5)) for size in shape]


def _resized(
    x: torch.Tensor,
    plan: list[tuple[float, int]],
    sampling: Sampling,
    boxes: list[tuple[float, float]] | None = None,
    beyond: float = 0.0,
) -> torch.Tensor:
    allowed((size for _, size in plan), x.numel())
    crops = sampling.coordinates == "tf_crop_and_resize"
    for axis, (scale, out) in enumerate(plan):
        size = x.shape[axis]
        box = boxes[axis] if boxes else (0.0, 1.0)
        if out == size and scale == 1.0 and not (crops and box != (0.0, 1.0)):
            continue
        allowed((size, out))
        where = positions(size, out, scale, sampling.coordinates, box)
        x = _along(x, axis, weights(where, size, scale, sampling))
        outside = (where < 0) | (where > size - 1)
        if crops and outside.any():
            shape = [1] * x.ndim
            shape[axis] = out
            x = x.masked_fill(torch.from_numpy(outside).to(x.device).reshape(shape), beyond)
    return x

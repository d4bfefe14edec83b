"""Operators that cut, join and pad."""

from __future__ import annotations

from itertools import pairwise

import torch

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import allowed, sizes


@operator("Concat", since=4, codes=True)
def concat(node: OnnxNode, *tensors: torch.Tensor) -> torch.Tensor:
    """One after the other along an axis."""
    return torch.cat(tensors, node.get("axis"))


@operator("Split", since=2, codes=True)
def split(node: OnnxNode, x: torch.Tensor, lengths: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
    """Parts of given lengths, or equal ones of which the last may be shorter."""
    axis = node.get("axis", 0)
    given = node.get("split") if lengths is None else sizes(lengths)
    if given is not None:
        if sum(given) != x.shape[axis]:
            raise ValueError(f"parts of {given}")
        return torch.split_with_sizes(x, given, axis)
    parts = node.get("num_outputs", len(node.outputs))
    length = -(-x.shape[axis] // parts)
    starts = [min(i * length, x.shape[axis]) for i in range(parts + 1)]
    return tuple(x.narrow(axis, a, b - a) for a, b in pairwise(starts))


@operator("Slice", codes=True)
def slice_by_attribute(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Ranges that are attributes, before opset 10."""
    starts, ends = node.get("starts"), node.get("ends")
    return _sliced(x, starts, ends, node.get("axes", range(len(starts))), [1] * len(starts))


@operator("Slice", since=10, codes=True)
def slice_by_input(
    node: OnnxNode,
    x: torch.Tensor,
    starts: torch.Tensor,
    ends: torch.Tensor,
    axes: torch.Tensor | None = None,
    steps: torch.Tensor | None = None,
) -> torch.Tensor:
    """Ranges that are inputs; steps may be negative."""
    first = sizes(starts)
    along = range(len(first)) if axes is None else sizes(axes)
    return _sliced(x, first, sizes(ends), along, [1] * len(first) if steps is None else sizes(steps))


def _sliced(
    x: torch.Tensor, starts: list[int], ends: list[int], axes: range | list[int], steps: list[int]
) -> torch.Tensor:
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        chosen = range(*slice(start, end, step).indices(x.shape[axis]))
        if step < 0:  # torch slices forward only
            x = x.flip(axis)
            chosen = range(x.shape[axis] - 1 - chosen.start, x.shape[axis] - 1 - chosen.stop, -step)
        positions: list[slice] = [slice(None)] * x.ndim
        positions[axis] = slice(chosen.start, max(chosen.stop, chosen.start), chosen.step)
        x = x[tuple(positions)]
    return x


@operator("Pad", since=2, codes=True)
def pad_by_attribute(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Sizes and value are attributes, before opset 11."""
    return _padded(x, node.get("pads"), range(x.ndim), node.get("mode", "constant"), node.get("value", 0.0))


@operator("Pad", since=11, codes=True)
def pad(
    node: OnnxNode,
    x: torch.Tensor,
    pads: torch.Tensor,
    value: torch.Tensor | None = None,
    axes: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sizes, value and axes are inputs; negative sizes crop."""
    along = list(range(x.ndim)) if axes is None else sizes(axes)
    return _padded(x, sizes(pads), along, node.get("mode", "constant"), 0 if value is None else value.item())


def _padded(x: torch.Tensor, pads: list[int], axes: range | list[int], mode: str, value: float) -> torch.Tensor:
    pairs = dict(zip([axis % x.ndim for axis in axes], zip(*_halves(pads), strict=True), strict=True))
    allowed((size + sum(pairs.get(axis, (0, 0))) for axis, size in enumerate(x.shape)), x.numel())
    if mode == "constant":
        both = [pairs.get(axis, (0, 0)) for axis in reversed(range(x.ndim))]
        widths = [size for pair in both for size in pair]
        if x.dtype == torch.bool:
            return torch.nn.functional.pad(x.to(torch.uint8), widths, value=int(value)).to(torch.bool)
        return torch.nn.functional.pad(x, widths, value=value)
    for axis, (before, after) in pairs.items():
        if before or after:
            x = x.index_select(axis, _elements(x.shape[axis], before, after, mode).to(x.device))
    return x


def _halves(pads: list[int]) -> tuple[list[int], list[int]]:
    middle = len(pads) // 2
    return pads[:middle], pads[middle:]


def _elements(size: int, before: int, after: int, mode: str) -> torch.Tensor:
    """The element of an axis that stands at each position of the padded axis.

    >>> _elements(3, 2, 1, "reflect").tolist(), _elements(3, 2, 1, "edge").tolist(), _elements(3, 2, 1, "wrap").tolist()
    ([2, 1, 0, 1, 2, 1], [0, 0, 0, 1, 2, 2], [1, 2, 0, 1, 2, 0])
    """
    positions = torch.arange(-before, size + after)
    if mode == "edge":
        return positions.clamp(0, size - 1)
    if mode == "wrap":
        return positions % size
    if mode != "reflect":
        raise ValueError(f"mode {mode!r}")
    period = max(2 * (size - 1), 1)
    folded = positions % period
    return torch.where(folded < size, folded, period - folded)


@operator("CenterCropPad", codes=True)
def centre_crop_pad(node: OnnxNode, x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """Cropped or padded with zeros about the centre to a shape."""
    for axis, wanted in zip(node.get("axes", range(x.ndim)), allowed(sizes(shape), x.numel()), strict=True):
        size = x.shape[axis]
        if wanted < size:
            x = x.narrow(axis, (size - wanted) // 2, wanted)
        elif wanted > size:
            before = (wanted - size) // 2
            x = _padded(x, [before, wanted - size - before], [axis], "constant", 0)
    return x

"""Operators that change a tensor's shape and leave its numbers as they are."""

from __future__ import annotations

import torch

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import allowed, sizes


@operator("Reshape", since=5, codes=True)
def reshape(node: OnnxNode, x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """Bring x to a shape; 0 keeps a size unless ``allowzero``, -1 is what is left."""
    wanted = sizes(shape)
    if not node.get("allowzero", 0):
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x.reshape(wanted)


@operator("Flatten", codes=True)
def flatten(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Bring x to two axes: those before ``axis`` and the rest."""
    axis = node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(x.shape[:axis].numel(), x.shape[axis:].numel())


@operator("Squeeze", codes=True)
def squeeze(node: OnnxNode, x: torch.Tensor, axes: torch.Tensor | None = None) -> torch.Tensor:
    """Remove the given axes, or all of size 1."""
    given = node.get("axes") if axes is None else sizes(axes)
    if given is None:
        return x.squeeze()
    if any(x.shape[axis] != 1 for axis in given):
        raise ValueError(f"axes {given} are not all of size 1")
    return x.squeeze(tuple(given))


@operator("Unsqueeze", codes=True)
def unsqueeze(node: OnnxNode, x: torch.Tensor, axes: torch.Tensor | None = None) -> torch.Tensor:
    """Insert axes of size 1 at given positions of the result."""
    given = node.get("axes") if axes is None else sizes(axes)
    rank = x.ndim + len(given)
    for axis in sorted(axis + rank if axis < 0 else axis for axis in given):
        x = x.unsqueeze(axis)
    return x


@operator("Transpose", codes=True)
def transpose(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Axes in another order; reversed where none is given."""
    return x.permute(node.get("perm", list(reversed(range(x.ndim)))))


@operator("Expand", codes=True)
def expand(node: OnnxNode, x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """Broadcast with a shape, which may be the smaller of the two."""
    wanted = allowed(sizes(shape), x.numel())
    rank = max(x.ndim, len(wanted))
    had = [1] * (rank - x.ndim) + list(x.shape)
    wanted = [1] * (rank - len(wanted)) + wanted
    return x.expand(allowed((b if a == 1 else a for a, b in zip(had, wanted, strict=True)), x.numel()))


@operator("Tile", since=6, codes=True)
def tile(node: OnnxNode, x: torch.Tensor, repeats: torch.Tensor) -> torch.Tensor:
    """Repeat x along every axis."""
    times = sizes(repeats)
    allowed((size * count for size, count in zip(x.shape, times, strict=True)), x.numel())
    return x.repeat(times)


@operator("DepthToSpace", codes=True)
def depth_to_space(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Blocks of channels to blocks of pixels: depth first (DCR) or column first (CRD)."""
    n, c, h, w = x.shape
    b = node.get("blocksize")
    if node.get("mode", "DCR") == "DCR":
        blocks = x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(n, c // b**2, b, b, h, w).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // b**2, h * b, w * b)


@operator("SpaceToDepth", codes=True)
def space_to_depth(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Blocks of pixels to blocks of channels: depth first (DCR) or column first (CRD)."""
    n, c, h, w = x.shape
    b = node.get("blocksize")
    order = (0, 3, 5, 1, 2, 4) if node.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return x.reshape(n, c, h // b, b, w // b, b).permute(order).reshape(n, c * b**2, h // b, w // b)

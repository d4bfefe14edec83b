"""Operators that gather and scatter by index."""

from __future__ import annotations

import torch

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import allowed, through_int64


def _counted(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Indices from the front; ``IndexError`` where one is out of range."""
    indices = indices.to(torch.int64)
    if indices.numel() and not -size <= int(indices.min()) <= int(indices.max()) < size:
        raise IndexError(f"an index outside [{-size}, {size})")
    return torch.where(indices < 0, indices + size, indices)


@operator("Gather", codes=True)
def gather(node: OnnxNode, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """The slices at the indices along an axis."""
    axis = node.get("axis", 0) % x.ndim
    chosen = x.index_select(axis, _counted(indices, x.shape[axis]).reshape(-1))
    return chosen.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@operator("GatherElements", codes=True)
def gather_elements(node: OnnxNode, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """The elements at the indices along an axis."""
    axis = node.get("axis", 0)
    return x.gather(axis, _counted(indices, x.shape[axis]))


def _flat_positions(shape: torch.Size, indices: torch.Tensor) -> torch.Tensor:
    """Index tuples (..., k) as positions in the flattened first k axes."""
    positions = torch.zeros(indices.shape[:-1], dtype=torch.int64, device=indices.device)
    for i in range(indices.shape[-1]):
        positions = positions * shape[i] + _counted(indices[..., i], shape[i])
    return positions


@operator("GatherND", codes=True)
def gather_nd(node: OnnxNode, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """The slices at index tuples, batch by batch."""
    batch = node.get("batch_dims", 0)
    depth = indices.shape[-1]
    rows = x.shape[:batch].numel()
    data = x.reshape(rows, x.shape[batch : batch + depth].numel(), *x.shape[batch + depth :])
    tuples = indices.reshape(rows, -1, depth)
    positions = _flat_positions(x.shape[batch : batch + depth], tuples)
    chosen = torch.stack([row.index_select(0, position) for row, position in zip(data, positions, strict=True)])
    return chosen.reshape((*indices.shape[:-1], *x.shape[batch + depth :]))


_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements", "Scatter")
def scatter_elements(node: OnnxNode, x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
    """Elements put in at the indices along an axis, or combined with what is there."""
    axis, how = node.get("axis", 0), node.get("reduction", "none")
    positions = _counted(indices, x.shape[axis])
    if how == "none":
        return x.scatter(axis, positions, updates)
    return x.scatter_reduce(axis, positions, updates, _REDUCE[how], include_self=True)


@operator("ScatterND")
def scatter_nd(node: OnnxNode, x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
    """Slices put in at index tuples, or combined with what is there."""
    depth, how = indices.shape[-1], node.get("reduction", "none")
    tail = x.shape[depth:].numel()
    data = x.reshape(x.shape[:depth].numel(), tail)
    positions = _flat_positions(x.shape, indices.reshape(-1, depth))[:, None].expand(-1, tail)
    new = updates.reshape(-1, tail)
    if how == "none":
        return data.scatter(0, positions, new).reshape(x.shape)
    return data.scatter_reduce(0, positions, new, _REDUCE[how], include_self=True).reshape(x.shape)


@operator("OneHot")
def one_hot(node: OnnxNode, indices: torch.Tensor, depth: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """``values[1]`` at the indices along a new axis, else ``values[0]``; nothing where an index is out of range."""
    count, axis = int(depth.reshape(-1)[0]), node.get("axis", -1)
    axis = axis + indices.ndim + 1 if axis < 0 else axis
    allowed([*indices.shape, count], indices.numel())
    numbers = indices.to(torch.int64)
    numbers = torch.where(numbers < 0, numbers + count, numbers).unsqueeze(axis)
    range_shape = [1] * numbers.ndim
    range_shape[axis] = count
    hot = numbers == torch.arange(count, device=indices.device).reshape(range_shape)
    return torch.where(hot, values[1], values[0])


@operator("Trilu", codes=True)
def triangle(node: OnnxNode, x: torch.Tensor, k: torch.Tensor | None = None) -> torch.Tensor:
    """The upper or lower triangle of the last two axes."""
    diagonal = 0 if k is None else int(k)
    return through_int64(lambda x: x.triu(diagonal) if node.get("upper", 1) else x.tril(diagonal), x)


@operator("NonZero")
def non_zero(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The indices of what is not zero, one column each."""
    return x.nonzero().mT.contiguous()


@operator("Compress", codes=True)
def compress(node: OnnxNode, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """The slices along an axis, or the elements, for which the condition holds."""
    axis = node.get("axis")
    if axis is None:
        x, axis = x.reshape(-1), 0
    return x.index_select(axis, condition.nonzero().reshape(-1))

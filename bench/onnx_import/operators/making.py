"""Operators that make tensors, and tell their shapes and types."""

from __future__ import annotations

from math import ceil

import torch

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import TORCH_TYPES, Codes, allowed, sizes

_CONSTANTS = {
    "value_float": torch.float32,
    "value_floats": torch.float32,
    "value_int": torch.int64,
    "value_ints": torch.int64,
}


@operator("Constant")
def constant(node: OnnxNode) -> torch.Tensor | Codes:
    """A tensor that the node holds."""
    if "value" in node.attributes:
        stored: torch.Tensor | Codes = node.attributes["value"]
        return stored
    for name, dtype in _CONSTANTS.items():
        if name in node.attributes:
            return torch.tensor(node.attributes[name], dtype=dtype)
    raise ValueError(f"a constant of {', '.join(node.attributes) or 'nothing'}")


@operator("ConstantOfShape", since=9)
def constant_of_shape(node: OnnxNode, shape: torch.Tensor) -> torch.Tensor:
    """A tensor of a shape, filled with one value."""
    value: torch.Tensor = node.get("value", torch.zeros(1))
    return value.reshape(()).repeat(allowed(sizes(shape))) if shape.numel() else value.reshape(())


@operator("Shape")
def shape_of(node: OnnxNode, x: torch.Tensor | Codes) -> torch.Tensor:
    """The sizes of the axes from ``start`` to ``end``."""
    held = x.codes if isinstance(x, Codes) else x
    chosen = list(held.shape)[slice(node.get("start", 0), node.get("end"))]
    return torch.tensor(chosen, dtype=torch.int64, device=held.device)


@operator("Size")
def size_of(node: OnnxNode, x: torch.Tensor | Codes) -> torch.Tensor:
    """The number of elements."""
    held = x.codes if isinstance(x, Codes) else x
    return torch.tensor(held.numel(), device=held.device)


@operator("Range")
def number_range(node: OnnxNode, start: torch.Tensor, limit: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """Numbers from start in steps of delta, below limit."""
    count = max(ceil((limit.item() - start.item()) / delta.item()), 0)
    allowed([count])
    return (start.reshape(()) + delta.reshape(()) * torch.arange(count, device=start.device)).to(start.dtype)


@operator("EyeLike")
def eye_like(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Ones on the k-th diagonal of a matrix of x's shape."""
    dtype = TORCH_TYPES[node.attributes["dtype"]] if "dtype" in node.attributes else x.dtype
    rows, columns = x.shape
    offsets = torch.arange(columns, device=x.device)[None] - torch.arange(rows, device=x.device)[:, None]
    return torch.eq(offsets, node.number("k", 0)).to(dtype)


@operator("Cast", since=6)
def cast(node: OnnxNode, x: torch.Tensor | Codes) -> torch.Tensor | Codes:
    """``x`` as another element type; codes stay codes as integers, and become floating point with their gradient."""
    return _cast(x, node.get("to"))


@operator("CastLike", since=15)
def cast_like(node: OnnxNode, x: torch.Tensor | Codes, like: torch.Tensor | Codes) -> torch.Tensor | Codes:
    """``x`` as the element type of another tensor."""
    if isinstance(like, Codes):
        return _cast(x, like.element)
    return _cast(x, next(element for element, dtype in TORCH_TYPES.items() if dtype == like.dtype))


def _cast(x: torch.Tensor | Codes, element: int) -> torch.Tensor | Codes:
    dtype = TORCH_TYPES[element]
    if not isinstance(x, Codes):
        return x.to(dtype)
    if dtype.is_floating_point:
        return x.codes.to(dtype)
    if dtype == torch.bool:
        return x.codes != 0
    low, high = torch.iinfo(TORCH_TYPES[x.element]).min, torch.iinfo(TORCH_TYPES[x.element]).max
    limits = torch.iinfo(dtype)
    if limits.min <= low and high <= limits.max:
        return Codes(x.codes, element)
    return x.integers().to(dtype)  # it may wrap round, which has no gradient

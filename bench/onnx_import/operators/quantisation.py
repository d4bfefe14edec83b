"""Quantisers and dequantisers: between real numbers and integer codes, in ONNX Runtime's order of arithmetic."""

from __future__ import annotations

import torch
from onnx import TensorProto

from bench.errors import UserError
from bench.onnx_import.rounding import Rounding
from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import TORCH_TYPES, Codes, as_codes

RANGES = {
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.INT16: (-(2**15), 2**15 - 1),
    TensorProto.UINT16: (0, 2**16 - 1),
    TensorProto.INT4: (-8, 7),
    TensorProto.UINT4: (0, 15),
    TensorProto.INT2: (-2, 1),
    TensorProto.UINT2: (0, 3),
}
"""The smallest and the largest code of each type that a quantiser writes."""

ELEMENTS = {dtype: element for element, dtype in TORCH_TYPES.items()}


def element_of(value: torch.Tensor | Codes) -> int:
    """The ONNX element type of a tensor."""
    return value.element if isinstance(value, Codes) else ELEMENTS[value.dtype]


def range_of(node: OnnxNode, element: int) -> tuple[int, int]:
    """The smallest and the largest code of a type; ``UserError`` for one that is no integer code."""
    if element not in RANGES:
        kind = TensorProto.DataType.Name(element)
        raise UserError.at("onnx", f"{node} quantises to {kind}, which cannot be imported", "use 2 to 16 bit integers")
    return RANGES[element]


def along(parameter: torch.Tensor, shape: torch.Size, axis: int, block: int) -> torch.Tensor:
    """A scale or zero point, one a tensor, an index of ``axis``, or a block along it, as it is spread over ``shape``.

    >>> along(torch.tensor([1.0, 2.0]), torch.Size([2, 3]), 0, 0).tolist()
    [[1.0], [2.0]]
    >>> along(torch.tensor([[1.0, 2.0]]), torch.Size([1, 3]), 1, 2).tolist()
    [[1.0, 1.0, 2.0]]
    """
    if parameter.numel() == 1:
        return parameter.reshape(())
    if block:
        return parameter.repeat_interleave(block, dim=axis).narrow(axis, 0, shape[axis])
    if parameter.ndim == 1:
        return parameter.view([-1 if index == axis % len(shape) else 1 for index in range(len(shape))])
    return parameter


def quantise(
    x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, limits: tuple[int, int], rounding: Rounding
) -> torch.Tensor:
    """Codes ``saturate(round(x / scale) + zero)``, halves to even, of x (any shape) in its own floating type.

    >>> quantise(torch.tensor([0.5, 1.5, 9.0]), torch.tensor(1.0), torch.tensor(1.0), (0, 5), Rounding()).tolist()
    [1.0, 3.0, 5.0]
    """
    return saturated(x / scale, zero, limits, rounding)


def saturated(x: torch.Tensor, zero: torch.Tensor, limits: tuple[int, int], rounding: Rounding) -> torch.Tensor:
    """``clip(round(x) + zero, limits)``: outside the range the gradient is zero.

    Where the smallest code means zero, everything negative counts as outside, even what rounds to zero: ONNX Runtime
    takes a ReLU away that stands before such a quantiser, and the gradient must not depend on that.

    >>> x = torch.tensor([-0.3, 0.3, 1.6], requires_grad=True)
    >>> codes = saturated(x, torch.tensor(0.0), (0, 1), Rounding("straight_through"))
    >>> codes.tolist(), torch.autograd.grad(codes.sum(), x)[0].tolist()
    ([0.0, 0.0, 1.0], [0.0, 1.0, 0.0])
    """
    if x.requires_grad and bool((zero == limits[0]).all()):
        x = x.clamp(min=0)
    rounded = rounding.round(x)
    return (rounded + zero if bool(zero.any()) else rounded).clamp(*limits)


def dequantise(codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None) -> torch.Tensor:
    """``(codes - zero) scale`` in float32."""
    shifted = codes if zero is None else codes - zero
    return shifted * scale.to(shifted.dtype)


@operator("QuantizeLinear", since=10)
@operator("QuantizeLinear", domain="com.microsoft")
def quantize_linear(
    node: OnnxNode, x: torch.Tensor | Codes, scale: torch.Tensor, zero: torch.Tensor | Codes | None = None
) -> Codes:
    """``saturate(round(x / scale) + zero)``: one scale a tensor, an index of the axis, or a block."""
    element = element_of(zero) if zero is not None else node.get("output_dtype", 0) or TensorProto.UINT8
    limits = range_of(node, element)
    values = as_codes(x, scale.dtype) if isinstance(x, Codes) or not x.is_floating_point() else x
    axis, block = node.get("axis", 1), node.get("block_size", 0)
    step = along(scale, values.shape, axis, block).to(_precision(node, scale))
    shift = along(as_codes(zero, step.dtype), values.shape, axis, block) if zero is not None else step.new_zeros(())
    codes = quantise(values.to(step.dtype), step, shift, limits, node.rounding)
    return Codes(codes.float(), element)


def _precision(node: OnnxNode, scale: torch.Tensor) -> torch.dtype:
    """The type in which the division is done; halves hold no 16-bit code, so they are divided in float32."""
    asked = node.get("precision", 0)
    dtype = TORCH_TYPES[asked] if asked else scale.dtype
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


@operator("DequantizeLinear", since=10)
@operator("DequantizeLinear", domain="com.microsoft")
def dequantize_linear(
    node: OnnxNode, x: torch.Tensor | Codes, scale: torch.Tensor, zero: torch.Tensor | Codes | None = None
) -> torch.Tensor:
    """``(x - zero) scale``: one scale a tensor, an index of the axis, or a block."""
    axis, block = node.get("axis", 1), node.get("block_size", 0)
    asked = node.get("output_dtype", 0)
    codes = as_codes(x)
    step = along(scale, codes.shape, axis, block).float()
    shift = None if zero is None else along(as_codes(zero), codes.shape, axis, block)
    return dequantise(codes, step, shift).to(TORCH_TYPES[asked] if asked else scale.dtype)


def dynamic_range(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and zero point (0-dimensional, float32) of uint8 codes over the range of all of x and zero.

    ``scale = (max - min) / 255``, ``zero = round(clip(-min / scale, 0, 255))``; constants for the gradient. An x of
    zeros has scale 1.

    >>> [value.item() for value in dynamic_range(torch.tensor([-1.0, 254.0]))]
    [1.0, 1.0]
    """
    values = x.detach()
    low, high = values.min().clamp(max=0.0), values.max().clamp(min=0.0)
    scale = torch.where(high == low, torch.ones_like(high), (high - low) / 255)
    return scale, (-low / scale).clamp(0, 255).round()


@operator("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(node: OnnxNode, x: torch.Tensor) -> tuple[Codes, torch.Tensor, torch.Tensor]:
    """Codes uint8 over the range of x itself, with their scale and zero point."""
    scale, zero = dynamic_range(x)
    codes = quantise(x, scale, zero, RANGES[TensorProto.UINT8], node.rounding)
    return Codes(codes, TensorProto.UINT8), scale, zero.to(torch.uint8)

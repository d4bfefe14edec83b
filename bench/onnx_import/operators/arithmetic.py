"""Arithmetic, comparison and logic of two or more tensors, with numpy's broadcasting and that before opset 7."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable
from functools import reduce

import torch

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import through_int64

_Binary = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_ARITHMETIC: dict[str, _Binary] = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul}
_COMPARISONS: dict[str, _Binary] = {
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
}
_LOGIC: dict[str, _Binary] = {"And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor}
_BITS: dict[str, _Binary] = {
    "BitwiseAnd": torch.bitwise_and,
    "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
}


def aligned(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """B along the axes that the attributes ``broadcast`` and ``axis`` of opset 6 give it; as it is from opset 7 on."""
    if node.opset >= 7 or not node.get("broadcast", 0):
        return b
    axis = node.get("axis", a.ndim - b.ndim)
    axis = axis + a.ndim if axis < 0 else axis
    return b.reshape((*b.shape, *[1] * (a.ndim - axis - b.ndim)))


@operator(*_ARITHMETIC, codes=True)
def arithmetic(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The operation of the operator's name."""
    return through_int64(_ARITHMETIC[node.operator], a, aligned(node, a, b))


@operator("Div")
def divide(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a / b``; integers are rounded towards zero."""
    b = aligned(node, a, b)
    if a.is_floating_point():
        return torch.div(a, b)
    return through_int64(lambda a, b: torch.div(a, b, rounding_mode="trunc"), a, b)


@operator("Mod")
def modulo(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The remainder: with the sign of b, or with ``fmod`` of a."""
    return through_int64(torch.fmod if node.get("fmod", 0) else torch.remainder, a, b)


@operator("Pow")
def power(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a ** b`` in a's type."""
    b = aligned(node, a, b)
    if a.is_floating_point():
        return torch.pow(a, b.to(a.dtype))
    return torch.pow(a.double(), b.double()).to(a.dtype)


@operator(*_COMPARISONS, codes=True)
def comparison(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The comparison of the operator's name."""
    return through_int64(_COMPARISONS[node.operator], a, aligned(node, a, b))


@operator(*_LOGIC)
def logic(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The operation of the operator's name, of truth values."""
    return _LOGIC[node.operator](a, aligned(node, a, b))


@operator(*_BITS)
def bits(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The operation of the operator's name, bit by bit."""
    return through_int64(_BITS[node.operator], a, b)


@operator("BitShift")
def bit_shift(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Unsigned integers a, shifted by b bits."""
    left = node.get("direction") == "LEFT"
    return through_int64(torch.bitwise_left_shift if left else torch.bitwise_right_shift, a, b)


@operator("Max", codes=True)
def maximum(node: OnnxNode, *tensors: torch.Tensor) -> torch.Tensor:
    """The largest of several."""
    return reduce(lambda a, b: through_int64(torch.maximum, a, b), tensors)


@operator("Min", codes=True)
def minimum(node: OnnxNode, *tensors: torch.Tensor) -> torch.Tensor:
    """The smallest of several."""
    return reduce(lambda a, b: through_int64(torch.minimum, a, b), tensors)


@operator("Sum")
def total(node: OnnxNode, *tensors: torch.Tensor) -> torch.Tensor:
    """The sum of several."""
    return reduce(python_operator.add, tensors)


@operator("Mean")
def mean(node: OnnxNode, *tensors: torch.Tensor) -> torch.Tensor:
    """The mean of several."""
    return reduce(python_operator.add, tensors) / len(tensors)


@operator("Where", codes=True)
def where(node: OnnxNode, condition: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a`` where the condition holds, else ``b``."""
    return torch.where(condition, a, b)

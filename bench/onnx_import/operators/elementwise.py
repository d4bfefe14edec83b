"""Functions of one tensor, element by element."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import through_int64

_FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Log": torch.log,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
}
_OF_ANY_NUMBER: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Abs": torch.abs,
    "Neg": torch.neg,
    "Sign": torch.sign,
}


@operator(*_FUNCTIONS)
def function(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The function of the operator's name; x's type is kept."""
    return _FUNCTIONS[node.operator](x).to(x.dtype)


@operator(*_OF_ANY_NUMBER, codes=True)
def function_of_any_number(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The function of the operator's name, of integers too."""
    return through_int64(_OF_ANY_NUMBER[node.operator], x)


@operator("Reciprocal")
def reciprocal(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """1 / x."""
    return torch.reciprocal(x)


@operator("Round")
def nearest(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The nearest integer, halves to even."""
    return node.rounding.round(x)


@operator("Floor")
def floor(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The largest integer below."""
    return node.rounding.floor(x)


@operator("Ceil")
def ceil(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The smallest integer above."""
    return node.rounding.ceil(x)


@operator("IsNaN")
def is_nan(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Whether x is NaN."""
    return torch.isnan(x)


@operator("IsInf")
def is_inf(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Whether x is infinite, of the signs asked for."""
    infinite = torch.zeros_like(x, dtype=torch.bool)
    if node.get("detect_positive", 1):
        infinite = infinite | torch.isposinf(x)
    if node.get("detect_negative", 1):
        infinite = infinite | torch.isneginf(x)
    return infinite


@operator("Not")
def logical_not(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """The negation of truth values."""
    return torch.logical_not(x)


@operator("BitwiseNot")
def bitwise_not(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Turn every bit."""
    return through_int64(torch.bitwise_not, x)


@operator("Identity", codes=True)
def identity(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x`` itself."""
    return x


@operator("Dropout", since=6, codes=True)
def dropout(
    node: OnnxNode, x: torch.Tensor, ratio: torch.Tensor | None = None, training: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """``x`` itself, as in inference, and a mask of true values."""
    if (node.opset < 7 and not node.get("is_test", 0)) or (training is not None and bool(training)):
        raise ValueError("it drops at random, as in training; export the network for inference")
    return x, torch.ones(x.shape, dtype=torch.bool if node.opset >= 10 else x.dtype, device=x.device)

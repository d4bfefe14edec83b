"""Activation functions, element by element, and softmax."""

from __future__ import annotations

import torch
from torch.nn import functional

from bench.onnx_import.table import OnnxNode, operator


@operator("Relu", codes=True)
def relu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """max(x, 0)."""
    return torch.relu(x)


@operator("LeakyRelu")
def leaky_relu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x`` above zero, ``alpha x`` below."""
    return functional.leaky_relu(x, node.get("alpha", 0.01))


@operator("PRelu")
def prelu(node: OnnxNode, x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """``x`` above zero, ``slope x`` below; before opset 7 a slope of one axis belongs to the channels."""
    if node.opset < 7 and slope.ndim == 1 and x.ndim > 1:
        slope = slope.reshape(-1, *[1] * (x.ndim - 2))
    return torch.where(x < 0, slope * x, x)


@operator("ThresholdedRelu")
def thresholded_relu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x`` where it exceeds ``alpha``, else zero."""
    return torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x))


@operator("Elu")
def elu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x`` above zero, ``alpha (exp(x) - 1)`` below."""
    return functional.elu(x, node.get("alpha", 1.0))


@operator("Selu")
def selu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``gamma elu(x, alpha)``."""
    alpha, gamma = node.number("alpha", 1.6732632423543772), node.number("gamma", 1.0507009873554805)
    return gamma * functional.elu(x, alpha)


@operator("Celu")
def celu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x`` above zero, ``alpha (exp(x / alpha) - 1)`` below."""
    return functional.celu(x, node.get("alpha", 1.0))


@operator("Gelu")
def gelu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x Phi(x)``, Phi the normal distribution function, or its approximation by tanh."""
    return functional.gelu(x, approximate=node.get("approximate", "none"))


@operator("Sigmoid")
def sigmoid(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``1 / (1 + exp(-x))``."""
    return torch.sigmoid(x)


@operator("HardSigmoid")
def hard_sigmoid(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``clip(alpha x + beta, 0, 1)``."""
    return (node.number("alpha", 0.2) * x + node.number("beta", 0.5)).clamp(0, 1)


@operator("HardSwish")
def hard_swish(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x clip(x / 6 + 1/2, 0, 1)``."""
    return x * (x / 6 + 0.5).clamp(0, 1)


@operator("Swish")
def swish(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x sigmoid(alpha x)``."""
    return x * torch.sigmoid(node.get("alpha", 1.0) * x)


@operator("SwiGLU")
def swiglu(node: OnnxNode, gate: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Swish of the gate, times x."""
    return swish(node, gate) * x


@operator("Tanh")
def tanh(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``tanh(x)``."""
    return torch.tanh(x)


@operator("Softplus")
def softplus(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``log(1 + exp(x))``."""
    return functional.softplus(x)


@operator("Softsign")
def softsign(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x / (1 + |x|)``."""
    return functional.softsign(x)


@operator("Mish")
def mish(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x tanh(softplus(x))``."""
    return functional.mish(x)


@operator("Shrink")
def shrink(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x`` moved by ``bias`` towards zero where ``|x|`` exceeds ``lambd``, else zero."""
    limit, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    moved = torch.where(x < -limit, x + bias, torch.where(x > limit, x - bias, torch.zeros_like(x)))
    return moved.to(x.dtype)


@operator("Softmax", "LogSoftmax", "Hardmax")
def softmax_flattened(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Softmax and its kin before opset 13: over all axes from ``axis`` on together."""
    axis = node.get("axis", 1) % max(x.ndim, 1)
    rows = x.shape[:axis].numel()
    return _softmax(node.operator, x.reshape(rows, -1), 1).reshape(x.shape)


@operator("Softmax", "LogSoftmax", "Hardmax", since=13)
def softmax(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Softmax and its kin from opset 13 on: over one axis."""
    return _softmax(node.operator, x, node.get("axis", -1))


def _softmax(name: str, x: torch.Tensor, axis: int) -> torch.Tensor:
    if name == "Hardmax":
        return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1)
    return x.log_softmax(axis) if name == "LogSoftmax" else normalised_exponentials(x, axis)


def normalised_exponentials(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Softmax; in half precision every step is rounded, as ONNX's reference does, which torch would round once.

    >>> normalised_exponentials(torch.tensor([0.0, 0.0]), -1).tolist()
    [0.5, 0.5]
    """
    if x.dtype != torch.float16:
        return x.softmax(axis)
    powers = torch.exp(x - x.amax(axis, keepdim=True))
    return powers / powers.float().sum(axis, keepdim=True).half()


@operator("Clip", since=6, codes=True)
def clip_by_attribute(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``clip(x, low, high)`` with limits in attributes, before opset 11."""
    low, high = node.get("min"), node.get("max")
    return x if low is None and high is None else x.clamp(low, high)


@operator("Clip", since=11, codes=True)
def clip(
    node: OnnxNode, x: torch.Tensor, low: torch.Tensor | None = None, high: torch.Tensor | None = None
) -> torch.Tensor:
    """``clip(x, low, high)`` with limits in inputs; everything is ``high`` where low > high."""
    if low is None and high is None:
        return x
    bounds = (None if bound is None else bound.to(x.dtype) for bound in (low, high))
    return x.clamp(*bounds)

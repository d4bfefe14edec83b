"""Fused floating-point operators that ONNX Runtime's optimiser writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from bench.onnx_import.operators.convolution import conv
from bench.onnx_import.operators.linear import gemm
from bench.onnx_import.operators.normalisation import layer_normalisation
from bench.onnx_import.table import OnnxNode, operator

MICROSOFT = "com.microsoft"


def _clip(x: torch.Tensor, parameters: list[float]) -> torch.Tensor:
    return x.clamp(parameters[0], parameters[1])


def _hard_sigmoid(x: torch.Tensor, parameters: list[float]) -> torch.Tensor:
    return (parameters[0] * x + parameters[1]).clamp(0, 1)


ACTIVATIONS: dict[str, Callable[[torch.Tensor, list[float]], torch.Tensor]] = {
    "": lambda x, _: x,
    "Relu": lambda x, _: torch.relu(x),
    "Tanh": lambda x, _: torch.tanh(x),
    "Sigmoid": lambda x, _: torch.sigmoid(x),
    "LeakyRelu": lambda x, p: functional.leaky_relu(x, p[0]),
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
}
"""What ONNX Runtime fuses into a convolution or matrix product, with their parameters in its order."""


def activated(node: OnnxNode, x: torch.Tensor, parameters: list[float]) -> torch.Tensor:
    """The activation that is fused into the node; ``ValueError`` for one that is not known."""
    name = node.get("activation", "")
    if name not in ACTIVATIONS:
        raise ValueError(f"the fused activation {name} cannot be imported")
    return ACTIVATIONS[name](x, parameters)


@operator("FusedConv", domain=MICROSOFT)
def fused_conv(
    node: OnnxNode,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    added: torch.Tensor | None = None,
) -> torch.Tensor:
    """``activation(conv(x) + added)``."""
    y = conv(node, x, weight, bias)
    return activated(node, y if added is None else y + added, node.get("activation_params", []))


@operator("FusedGemm", domain=MICROSOFT)
def fused_gemm(node: OnnxNode, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
    """``activation(alpha A' B' + beta C)``."""
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    parameters = [node.get(name) for name in names if node.get(name) is not None]
    return activated(node, gemm(node, a, b, c), parameters)


@operator("FusedMatMul", domain=MICROSOFT)
def fused_matmul(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``alpha A' B'``; transBatch moves the first axis behind the other ones of the batch."""
    left, right = (_turned(node, x, letter) for x, letter in ((a, "A"), (b, "B")))
    alpha = node.get("alpha", 1.0)
    product = torch.matmul(left, right)
    return product if alpha == 1.0 else alpha * product


def _turned(node: OnnxNode, x: torch.Tensor, letter: str) -> torch.Tensor:
    if node.get(f"transBatch{letter}", 0):
        x = x.movedim(0, -2)
    return x.mT if node.get(f"trans{letter}", 0) and x.ndim > 1 else x


@operator("Gelu", domain=MICROSOFT)
def gelu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x Phi(x)``."""
    return functional.gelu(x)


@operator("BiasGelu", domain=MICROSOFT)
def bias_gelu(node: OnnxNode, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """``gelu(x + bias)``."""
    return functional.gelu(x + bias)


@operator("FastGelu", domain=MICROSOFT)
def fast_gelu(node: OnnxNode, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """The approximation of ``gelu(x + bias)`` by tanh."""
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", domain=MICROSOFT)
def quick_gelu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """``x sigmoid(alpha x)``."""
    return x * torch.sigmoid(node.get("alpha", 1.702) * x)


@operator("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_normalisation(
    node: OnnxNode,
    x: torch.Tensor,
    skip: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> tuple[Any, ...]:
    """The layer normalisation of ``x + skip + bias`` over the last axis, its statistics, and that sum."""
    total = x + skip if bias is None else x + skip + bias
    normal = OnnxNode(node.name, "LayerNormalization", "", 17, (), (), {"epsilon": node.get("epsilon", 1e-5)})
    return (*layer_normalisation(normal, total, scale, shift), total)

"""Matrix products: MatMul, Gemm and Einsum."""

from __future__ import annotations

import torch

from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import through_int64


@operator("MatMul")
def matmul(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``A B``, with numpy's broadcasting of stacks."""
    return through_int64(torch.matmul, a, b)


@operator("Gemm", since=6)
def gemm(node: OnnxNode, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
    """``alpha A' B' + beta C``."""
    left = a.mT if node.get("transA", 0) else a
    right = b.mT if node.get("transB", 0) else b
    product = left @ right
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if alpha != 1.0:
        product = alpha * product
    if c is None:
        return product
    return product + (c if beta == 1.0 else beta * c)


@operator("Einsum")
def einsum(node: OnnxNode, *tensors: torch.Tensor) -> torch.Tensor:
    """The sum of products that the equation names."""
    return torch.einsum(node.get("equation"), *tensors)

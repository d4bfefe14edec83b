"""Linear nodes with magnitudes in the place of their weights: what bounds radii, and what rounding may have lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from bench.canonical_form.nodes import (
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Gather,
    Linear,
    Node,
    Scale,
    Total,
)
from bench.errors import NotApplicable
from bench.functional.lipschitz.chain_bounds.rounding import gamma

MAGNITUDES: dict[type[Node], Callable[[Any], Linear]] = {
    Dense: lambda node: replace(node, weight=node.weight.abs(), bias=None),
    Convolution: lambda node: replace(node, weight=node.weight.abs(), bias=None),
    Scale: lambda node: replace(node, factor=node.factor.abs(), bias=None),
    AveragePool: lambda node: replace(node, divisor=None if node.divisor is None else abs(node.divisor)),
    Total: lambda node: replace(node, factor=abs(node.factor)),
    Add: lambda node: replace(node, coefficients=tuple(abs(c) for c in node.coefficients)),
    Gather: lambda node: node,
    Concatenate: lambda node: node,
}
"""``|W|`` of each kind of linear node."""

TERMS: dict[type[Node], Callable[[Any], int]] = {
    Dense: lambda node: max(node.weight.shape),
    Convolution: lambda node: max(node.weight.shape[:2]) * prod(node.weight.shape[2:]),
    Scale: lambda node: 1,
    AveragePool: lambda node: prod(node.kernel) + 1,
    Total: lambda node: node.count + 1,
    Add: lambda node: len(node.inputs) + 1,
    Gather: lambda node: max(1, node.copies),
    Concatenate: lambda node: 1,
}
"""The most products in one sum of a node, forwards or backwards."""


def magnitude(node: Linear) -> Linear:
    """The node ``|W|``, without its constant.

    Raises:
        NotApplicable: the node is of a kind that is not known here.

    >>> node = Dense(name="a", inputs=(0,), shape=(1, 1), weight=torch.tensor([[3.0, -4.0]]).double())
    >>> magnitude(node).weight.tolist()
    [[3.0, 4.0]]
    """
    found: Linear = _rule(MAGNITUDES, node)(node)
    return found


def lost(node: Linear, more: int = 0) -> float:
    """What rounding may add to a value of the node, relative to ``|W| |x| + |b|``; ``more`` roundings besides."""
    return gamma(_rule(TERMS, node)(node) + 8 + more)


def pulled_back(node: Linear, rows: Tensor, shapes: list[tuple[int, ...]]) -> list[Tensor | None]:
    """``A W`` for each input of the node: rows A (m, *shape) to (m, *shape of the input).

    The vector-Jacobian product of ``node.linear``, so one rule serves every linear node; convolutions and dense maps,
    which take the time, are pulled back without going forwards first.

    >>> node = Dense(name="a", inputs=(0,), shape=(1, 1), weight=torch.tensor([[3.0, -4.0]]).double())
    >>> pulled_back(node, torch.ones(1, 1, 1).double(), [(1, 2)])[0].tolist()
    [[[3.0, -4.0]]]
    """
    if isinstance(node, Dense):
        return [rows @ node.weight]
    if isinstance(node, Convolution):
        return [_convolution(node, rows, shapes[0])]
    with torch.enable_grad():
        leaves = [torch.zeros(len(rows), *shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
        value = node.linear(*leaves)
        return list(torch.autograd.grad(value, leaves, rows.reshape(value.shape), allow_unused=True))


def _convolution(node: Convolution, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
    found = torch.ops.aten.convolution_backward(
        rows.flatten(0, 1), torch.zeros(1, dtype=torch.float64).expand(len(rows) * shape[0], *shape[1:]), node.weight,
        None, node.stride, node.padding, node.dilation, node.transposed, node.output_padding or (0,) * len(node.stride),
        node.groups, (True, False, False),
    )  # fmt: skip
    pulled: Tensor = found[0]
    return pulled.reshape(len(rows), *shape)


def constant(node: Linear) -> Tensor | None:
    """The constant that the node adds, flat (size,); None where there is none."""
    if node.bias is None:
        return None
    return torch.broadcast_to(node.bias, node.shape).reshape(-1)


def _rule(table: dict[type[Node], Callable[[Any], Any]], node: Linear) -> Callable[[Any], Any]:
    found = next((rule for kind, rule in table.items() if isinstance(node, kind)), None)
    if found is None:
        raise NotApplicable(f"{node.name}: {type(node).__name__} has no rule for intervals")
    return found

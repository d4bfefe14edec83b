"""Traces a forward pass with torch.fx: steps, shapes of values, arguments."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from bench.batch_norm_folding.structure import FoldingNode, Role

Shapes = dict[str, tuple[int, ...]]


def trace(module: nn.Module, shape: tuple[int, ...]) -> tuple[fx.Graph, Shapes]:
    """The traced graph and the shape of each value for two zeros."""
    whole = (_ConvNd, nn.Linear, _BatchNorm)

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, whole) or super().is_leaf_module(m, module_qualified_name)

    shapes: Shapes = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            made = super().run_node(n)
            if isinstance(made, torch.Tensor):
                shapes[n.name] = tuple(made.shape)
            return made

    graph = Tracer().trace(module)
    first = next(module.parameters(), None)
    zeros = torch.zeros(2, *shape, dtype=None if first is None else first.dtype)
    with torch.no_grad():
        Recorder(fx.GraphModule(module, graph)).run(zeros)
    return graph, shapes


def as_node(node: fx.Node, role: Role, label: str = "", **more: Any) -> FoldingNode:
    """A traced step as a node of a role."""
    inputs = tuple(value.name for value in node.all_input_nodes)
    if role is Role.ADD or role is Role.CONCAT:
        inputs = tuple(value.name for value in _flat(node.args) if hasattr(value, "name"))
    name = str(node.target) if node.op == "call_module" else node.name
    return FoldingNode(name, role, inputs, (node.name,), label or node.name, **more)


def asks_for_sizes(node: fx.Node) -> bool:
    """Whether a step reads of a value only what no map of channels changes."""
    if node.op == "call_method":
        return node.target in ("size", "dim")
    return node.target is getattr and node.args[1] in ("shape", "ndim", "dtype", "device")


def attribute(module: nn.Module, path: str) -> Any:
    """The attribute of a module at a dotted path."""
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    """An argument given by position or by name."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def as_tuple(value: Any) -> tuple[Any, ...]:
    """A list or tuple as a tuple, one value as a tuple of it."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _flat(arguments: Any) -> list[Any]:
    flat: list[Any] = []
    for value in arguments:
        flat += _flat(value) if isinstance(value, (list, tuple)) else [value]
    return flat

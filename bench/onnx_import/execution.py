"""Running the steps of a graph on values by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from bench.errors import NotApplicable, UserError
from bench.onnx_import.parse import ExecutableGraph, ExecutionStep
from bench.onnx_import.table import OnnxNode
from bench.onnx_import.values import Codes, Value

Replacement: TypeAlias = Callable[[Any], Any]
"""What stands in for a value: given the value that the node made, the value that the rest of the graph sees."""


def execute(
    steps: Iterable[ExecutionStep],
    scope: dict[str, Value],
    keep: frozenset[str] | set[str] = frozenset(),
    replace: Mapping[str, Replacement] | None = None,
) -> None:
    """Run steps in order; every value they make is put into ``scope``, and goes after its last use."""
    for step in steps:
        made = run_step(step, scope)
        for name, value in zip(step.node.outputs, made, strict=False):
            if name:
                scope[name] = replace[name](value) if replace and name in replace else value
        for name in step.frees:
            if name not in keep:
                scope.pop(name, None)


def run_graph(graph: ExecutableGraph, inputs: Sequence[Value], outer: Mapping[str, Value]) -> tuple[Value, ...]:
    """Run a graph inside a node on inputs in order and on what it sees outside."""
    scope: dict[str, Value] = {**outer, **graph.constants}
    scope.update(zip(graph.inputs, inputs, strict=True))
    execute(graph.steps, scope, frozenset(graph.outputs))
    return tuple(scope[name] for name in graph.outputs)


def run_step(step: ExecutionStep, scope: Mapping[str, Value]) -> tuple[Value, ...]:
    """Run one node on the values in ``scope``.

    Raises:
        UserError: the node cannot run on them: node, operator, opset, shapes and the reason.
    """
    node = step.node
    given = [scope[name] if name else None for name in node.inputs]
    element = next((value.element for value in given if isinstance(value, Codes)), None)
    if step.entry.codes and element is not None:
        given = [value.codes if isinstance(value, Codes) else value for value in given]
    seen = None if step.captures is None else {name: scope[name] for name in step.captures if name in scope}
    try:
        made = step.entry.handler(node, *given) if seen is None else step.entry.handler(node, *given, outer=seen)
    except (UserError, NotApplicable):
        raise
    except Exception as error:  # a file can lead torch into many kinds of errors
        raise UserError.at("onnx", _reason(node, given, error), "check the file with ONNX Runtime") from error
    values = made if isinstance(made, tuple) else (made,)
    if any(node.outputs[len(values) :]):
        what = f"{node} has {len(node.outputs)} outputs, of which {len(values)} can be computed"
        raise UserError.at("onnx", what, "ask for fewer")
    if step.entry.codes and element is not None:
        values = tuple(Codes(v, element) if _codes_again(v) else v for v in values)
    return values


def _codes_again(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _reason(node: OnnxNode, given: list[Value], error: Exception) -> str:
    line = " ".join(str(error).split())[:200]
    tensors = [value.codes if isinstance(value, Codes) else value for value in given]
    shapes = ", ".join("-" if tensor is None else str(tuple(tensor.shape)) for tensor in tensors)
    of = f" on inputs of shapes {shapes}" if shapes else ""
    return f"{node} cannot run{of}: {line or type(error).__name__}"

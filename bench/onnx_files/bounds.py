"""Puts guards into a file: loops and sizes that only a run can tell fail beyond the limits; answers stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UnusableNetwork
from bench.limits import LOOP_ROUNDS, ONNX_ELEMENTS
from bench.onnx_files.limits import every_graph, graphs_of

GUARD: Final = "crbench_guard"


def bounded(model: bytes) -> bytes:
    """The same file with loops that fail after ``LOOP_ROUNDS``, and sizes that fail beyond ``ONNX_ELEMENTS``.

    Every value stays what it is: what is added to a condition or a shape is true or zero, or stops the run. The bytes
    as they are where there is nothing to bound.
    """
    guarded = onnx.load_model_from_string(model)
    opset = max((entry.version for entry in guarded.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if opset < 13:  # the guard's operators are those of opset 13
        return model
    count = 0
    graphs = [*every_graph(guarded.graph)]
    graphs += [inner for function in guarded.functions for node in function.node for inner in _inner(node)]
    for graph in [*reversed(graphs), *guarded.functions]:  # the innermost first: what holds a node is written anew
        nodes = []
        for node in graph.node:
            if node.domain in ("", "ai.onnx") and node.op_type == "Loop":
                count += _bound_loop(node, count)
            elif node.domain in ("", "ai.onnx") and node.op_type in ("ConstantOfShape", "Expand"):
                nodes += _bound_shape(node, 0 if node.op_type == "ConstantOfShape" else 1, count)
                count += 1
            elif node.domain in ("", "ai.onnx") and node.op_type == "Range":
                nodes += _bound_range(node, count)
                count += 1
            nodes.append(node)
        kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(kept)
    return guarded.SerializeToString() if count else model


def _inner(node: Any) -> Iterator[Any]:
    for graph in graphs_of(node):
        yield from every_graph(graph)


def _stop(flag: str, values: Any, name: str) -> list[Any]:
    """Nodes that make the one of ``values``, or fail where the truth value ``flag`` is true."""
    return [
        helper.make_node("Cast", [flag], [f"{name}_at"], to=TensorProto.INT64),
        helper.make_node("Constant", [], [f"{name}_only"], value=numpy_helper.from_array(values)),
        helper.make_node("Gather", [f"{name}_only", f"{name}_at"], [f"{name}_made"], name=name),
    ]


def _bound_loop(node: Any, count: int) -> int:
    """Let the body's condition fail after too many rounds; 1 where it was done."""
    body = next(iter(graphs_of(node)), None)
    if body is None or not body.input or not body.output:
        return 0
    name = f"{GUARD}_loop_{count}"
    limit = numpy_helper.from_array(np.array(LOOP_ROUNDS.most, np.int64))
    body.node.extend(
        [
            helper.make_node("Constant", [], [f"{name}_most"], value=limit),
            helper.make_node("Less", [body.input[0].name, f"{name}_most"], [f"{name}_less"]),
            helper.make_node("Not", [f"{name}_less"], [f"{name}_over"]),
            *_stop(f"{name}_over", np.array([True]), name),
            helper.make_node("And", [body.output[0].name, f"{name}_made"], [f"{name}_on"]),
        ]
    )
    body.output[0].name = f"{name}_on"
    return 1


def _bound_shape(node: Any, input_index: int, count: int) -> list[Any]:
    """Nodes before it that fail where the shape it is given has too many elements."""
    name, shape = f"{GUARD}_{count}", node.input[input_index]
    node.input[input_index] = f"{name}_shape"
    one = numpy_helper.from_array(np.array([1], np.float32))  # a scalar's shape has no sizes: their product is 1
    most = numpy_helper.from_array(np.array(ONNX_ELEMENTS.most, np.float32))
    axis = numpy_helper.from_array(np.array([0], np.int64))
    return [
        helper.make_node("Constant", [], [f"{name}_one"], value=one),
        helper.make_node("Constant", [], [f"{name}_most"], value=most),
        helper.make_node("Constant", [], [f"{name}_axis"], value=axis),
        helper.make_node("Cast", [shape], [f"{name}_sizes"], to=TensorProto.FLOAT),
        helper.make_node("Concat", [f"{name}_one", f"{name}_sizes"], [f"{name}_all"], axis=0),
        helper.make_node("ReduceProd", [f"{name}_all"], [f"{name}_count"], keepdims=0),
        helper.make_node("Greater", [f"{name}_count", f"{name}_most"], [f"{name}_over"]),
        *_stop(f"{name}_over", np.array([0], np.int64), name),
        helper.make_node("Add", [shape, f"{name}_made"], [f"{name}_shape"]),
    ]


def _bound_range(node: Any, count: int) -> list[Any]:
    """Nodes before it that fail where it counts too many numbers."""
    name = f"{GUARD}_{count}"
    most = numpy_helper.from_array(np.array(ONNX_ELEMENTS.most, np.float32))
    ends = [f"{name}_start", f"{name}_limit", f"{name}_delta"]
    nodes = [
        helper.make_node("Cast", [given], [end], to=TensorProto.FLOAT)
        for given, end in zip(node.input, ends, strict=False)
    ]
    limit = node.input[1]
    node.input[1] = f"{name}_end"
    return [
        *nodes,
        helper.make_node("Constant", [], [f"{name}_most"], value=most),
        helper.make_node("Sub", [ends[1], ends[0]], [f"{name}_span"]),
        helper.make_node("Div", [f"{name}_span", ends[2]], [f"{name}_count"]),
        helper.make_node("Greater", [f"{name}_count", f"{name}_most"], [f"{name}_more"]),
        helper.make_node("Constant", [], [f"{name}_none"], value=numpy_helper.from_array(np.zeros(0, np.int64))),
        helper.make_node("Reshape", [f"{name}_more", f"{name}_none"], [f"{name}_over"]),
        *_stop(f"{name}_over", np.zeros((1, 0), np.int64), name),  # the shape of a single number
        helper.make_node("Reshape", [limit, f"{name}_made"], [f"{name}_end"]),
    ]


def refuse_excess(error: Exception, where: str) -> None:
    """Raise ``UserError`` where a run of what ``bounded`` made was stopped by it."""
    message = str(error)
    if GUARD not in message:
        return
    if f"{GUARD}_loop" in message:
        what, limit = f"a loop in it takes more than {LOOP_ROUNDS.most} {LOOP_ROUNDS.unit}", LOOP_ROUNDS
    else:
        what, limit = f"it makes a value of more than {ONNX_ELEMENTS.most} {ONNX_ELEMENTS.unit}", ONNX_ELEMENTS
    raise UnusableNetwork.at(where, what, limit.advice) from None

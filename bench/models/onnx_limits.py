"""What an ONNX file asks for, looked at before anything sorts, folds or runs it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import UnusableNetwork
from bench.graph.network import InputSpec
from bench.limits import LOOP_ROUNDS, ONNX_DEPTH, ONNX_ELEMENTS, ONNX_NODES, Limit

if TYPE_CHECKING:
    import onnx

LARGE = 4096  # bytes of data of which no shape is made
RIGHT = "export it anew"


def check_structure(model: onnx.ModelProto, where: str) -> None:
    """Raise ``UserError`` for text that is no UTF-8, and for more nodes or deeper nesting than the limits.

    Nodes are counted as if every local function were put in place of its calls.
    """
    _check_text(model, where)
    inside = {(function.domain, function.name): function for function in model.functions}
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    entered: set[tuple[str, str]] = set()
    deepest = ONNX_DEPTH.most

    def measured(nodes: Iterable[Any], depth: int) -> tuple[int, int]:
        """How many nodes, and how deep they go."""
        if depth > deepest:
            raise _too_much(ONNX_DEPTH, depth, where)
        total, below = 0, depth
        for node in nodes:
            key = (node.domain, node.op_type)
            total += 1
            if key in inside:
                if key in entered:
                    raise UnusableNetwork.at(where, f"its function {'.'.join(key)} leads to itself", RIGHT)
                if key not in counted:
                    entered.add(key)
                    count, deep = measured(inside[key].node, depth + 1)
                    counted[key] = count, deep - depth
                    entered.discard(key)
                total += counted[key][0]
                below = max(below, depth + counted[key][1])
            for graph in graphs_of(node):
                count, deep = measured(graph.node, depth + 1)
                total, below = total + count, max(below, deep)
        if below > deepest:
            raise _too_much(ONNX_DEPTH, below, where)
        return total, below

    total = measured(model.graph.node, 0)[0]
    for function in model.functions:  # one that nothing calls too
        measured(function.node, 1)
    if total > ONNX_NODES.most:
        raise _too_much(ONNX_NODES, total, where)


def _too_much(limit: Limit, given: float, where: str) -> UnusableNetwork:
    return UnusableNetwork.at(where, limit.exceeded(given, "it has "), limit.advice)


def graphs_of(node: Any) -> Iterator[Any]:
    """The graphs inside a node."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def _check_text(message: Any, where: str) -> None:
    """Raise ``UserError`` for a name that is no UTF-8 text: protobuf hands it out as bytes."""
    waiting = [message]
    while waiting:
        for field, value in waiting.pop().ListFields():
            many = value if isinstance(value, list) or hasattr(value, "append") or hasattr(value, "add") else [value]
            if field.type == field.TYPE_MESSAGE:
                waiting += many
            elif field.type == field.TYPE_STRING and (bad := [text for text in many if isinstance(text, bytes)]):
                what = f"a name in it is no UTF-8 text: {bad[0][:40]!r}"
                raise UnusableNetwork.at(where, what, RIGHT)


def check_tensors(tensors: Iterable[onnx.TensorProto], where: str) -> None:
    """Raise ``UserError`` for a stored tensor that does not hold what it declares."""
    from onnx import numpy_helper

    for tensor in tensors:
        sizes = list(tensor.dims)
        name = repr((tensor.name or "a constant")[:80])
        if min(sizes, default=0) < 0:
            raise UnusableNetwork.at(where, f"{name} has sizes {sizes[:8]}", RIGHT)
        try:
            if numpy_helper.to_array(tensor).shape != tuple(sizes):
                raise ValueError("another number of values than its sizes say")
        except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
            line = " ".join(str(error).split())[:200]
            raise UnusableNetwork.at(where, f"{name} of sizes {sizes[:8]} does not hold them: {line}", RIGHT) from None


def check_work(model: onnx.ModelProto, declared: InputSpec, where: str) -> None:
    """Raise ``UserError`` where a value has more elements, or a loop more rounds, than the limits.

    As far as the file alone tells, for two samples: what only a run can tell, ``bounded`` stops in the probe.
    """
    from onnx import inliner, shape_inference

    known = _stripped(model, declared)
    try:
        if known.functions:
            known = inliner.inline_local_functions(known)
        _without_ranges(known, where)
        known = shape_inference.infer_shapes(known, data_prop=True)
    except (RuntimeError, ValueError, shape_inference.InferenceError):
        pass  # what is wrong with it is said by the checker, or by the run
    for graph in every_graph(known.graph):
        for value in (*graph.value_info, *graph.output, *graph.input):
            _check_elements(value.name, [dim.dim_value for dim in value.type.tensor_type.shape.dim], where)
        for tensor in graph.initializer:
            _check_elements(tensor.name, tensor.dims, where)
        for sparse in graph.sparse_initializer:
            _check_elements(sparse.values.name, sparse.dims, where)
    _check_loops(known, where)


def _check_elements(name: str, sizes: Iterable[int], where: str) -> None:
    count = math.prod(size for size in sizes if size > 0)
    if count > ONNX_ELEMENTS.most:
        raise UnusableNetwork.at(where, ONNX_ELEMENTS.exceeded(count, f"{name[:80]!r} has "), ONNX_ELEMENTS.advice)


def every_graph(graph: Any) -> Iterator[Any]:
    """A graph and all inside its nodes, at every depth, the outer one first."""
    waiting = [graph]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += [inner for node in found.node for inner in graphs_of(node)]


def _stripped(model: onnx.ModelProto, declared: InputSpec) -> onnx.ModelProto:
    """A copy without the weights' data, which takes two samples."""
    import onnx

    known = onnx.ModelProto()
    known.ir_version = model.ir_version
    known.opset_import.extend(model.opset_import)
    known.functions.extend(model.functions)
    for field, value in model.graph.ListFields():
        if field.name == "initializer":
            for tensor in value:
                kept = known.graph.initializer.add()
                if len(tensor.raw_data) <= LARGE and tensor.ByteSize() <= 2 * LARGE:
                    kept.CopyFrom(tensor)
                else:
                    kept.name, kept.data_type = tensor.name, tensor.data_type
                    kept.dims.extend(tensor.dims)
        elif field.name in ("node", "input", "output", "value_info", "sparse_initializer"):
            getattr(known.graph, field.name).extend(value)
        elif field.name == "name":
            known.graph.name = value
    stored = {tensor.name for tensor in known.graph.initializer}
    for value in known.graph.input:
        shape = value.type.tensor_type.shape
        if value.name not in stored and len(shape.dim) == 1 + len(declared.network_shape):
            for dim, size in zip(shape.dim, (2, *declared.network_shape), strict=True):
                if not dim.dim_value:
                    dim.dim_value = size
    return known


def _told(graph: onnx.GraphProto) -> dict[str, float]:
    """The single numbers that a graph holds, by name."""
    from onnx import numpy_helper

    held = [(tensor.name, tensor) for tensor in graph.initializer]
    held += [
        (node.output[0], attribute.t)
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Constant" and node.output and attribute.HasField("t")
    ]
    arrays = [(name, numpy_helper.to_array(tensor)) for name, tensor in held if math.prod(tensor.dims) == 1]
    return {name: array.reshape(-1)[0].item() for name, array in arrays if array.dtype.kind in "iuf"}


def _without_ranges(model: onnx.ModelProto, where: str) -> None:
    """Let every Range be a tensor as long: inferring what it holds would write its numbers down, however many.

    Raises:
        UserError: one counts too many numbers by constants alone.
    """
    from onnx import helper, numpy_helper

    told: dict[str, float] = {}
    for graph in every_graph(model.graph):
        told |= _told(graph)
    for index, graph in enumerate(reversed([*every_graph(model.graph)])):  # innermost first: nodes are written anew
        nodes: list[Any] = []
        for place, node in enumerate(graph.node):
            if node.op_type != "Range" or node.domain not in ("", "ai.onnx") or len(node.input) != 3:
                nodes.append(node)
                continue
            start, limit, delta = (told.get(name) for name in node.input)
            if start is not None and limit is not None and delta:
                _check_elements(node.output[0], [math.ceil(max((limit - start) / delta, 0))], where)
            name = f"crbench_range_{index}_{place}"
            ends = node.input[1::-1] if delta is None or delta > 0 else node.input[:2]
            axis = numpy_helper.from_array(np.array([0], np.int64))
            nodes += [
                helper.make_node("Sub", ends, [f"{name}_span"]),
                helper.make_node("Constant", [], [f"{name}_axis"], value=axis),
                helper.make_node("Unsqueeze", [f"{name}_span", f"{name}_axis"], [f"{name}_size"]),
                helper.make_node("ConstantOfShape", [f"{name}_size"], [node.output[0]]),
            ]
        kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(kept)


def _check_loops(model: onnx.ModelProto, where: str) -> None:
    """Raise ``UserError`` for a loop that is told by a constant to take too many rounds."""
    told: dict[str, float] = {}
    for graph in every_graph(model.graph):
        told |= _told(graph)
        for node in graph.node:
            if node.op_type == "Loop" and len(node.input) > 1 and not node.input[1]:
                rounds = told.get(node.input[0], 0)
                if rounds > LOOP_ROUNDS.most:
                    raise _too_much(LOOP_ROUNDS, rounds, f"{where}: the loop {(node.name or node.output[0])[:80]!r}")

"""Limits on the nodes, nesting, tensors and loops of an ONNX file, checked before anything sorts, folds or runs it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import onnx
from onnx import inliner, numpy_helper, shape_inference

from bench.errors import UnusableNetwork, UserError
from bench.functional.onnx_sizes import fold_sizes, told
from bench.limits import LOOP_ROUNDS, ONNX_DEPTH, ONNX_ELEMENTS, ONNX_NODES, ONNX_VECTOR, Limit
from bench.networks.network import InputSpec

LARGE = 4096  # bytes of data of which no shape is made
PASSES = 20  # sizes of what is made of sizes, and so on
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


def _too_much(limit: Limit, given: float, where: str) -> UserError:
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

    As far as the file alone tells, for two samples: what only a run can tell, ``bounded`` stops in the probe. Sizes
    that are computed are computed here too: onnx's own propagation of data writes down every number of a long vector.
    """
    known = _stripped(model, declared)
    if known.functions:
        try:
            known = inliner.inline_local_functions(known)
        except (RuntimeError, ValueError):
            return  # what is wrong with it is said by the checker, or by the run
    _check_loops(known, where)
    for _ in range(PASSES):
        try:
            shaped = shape_inference.infer_shapes(known)
        except (RuntimeError, ValueError, shape_inference.InferenceError):
            shaped = known
        for graph in every_graph(shaped.graph):
            for value in (*graph.value_info, *graph.output, *graph.input):
                sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
                _check_elements(value.name, sizes, where)
                if len(sizes) == 1:  # onnx's inference writes down every number of one, 140 bytes each
                    _check_elements(value.name, sizes, where, ONNX_VECTOR)
            for tensor in graph.initializer:
                _check_elements(tensor.name, tensor.dims, where)
            for sparse in graph.sparse_initializer:
                _check_elements(sparse.values.name, sparse.dims, where)
        if not fold_sizes(known, shaped):
            return
        _check_loops(known, where)


def _check_elements(name: str, sizes: Iterable[int], where: str, limit: Limit = ONNX_ELEMENTS) -> None:
    count = math.prod(size for size in sizes if size > 0)
    if count > limit.most:
        raise UnusableNetwork.at(where, limit.exceeded(count, f"{name[:80]!r} has "), limit.advice)


def every_graph(graph: Any) -> Iterator[Any]:
    """A graph and all inside its nodes, at every depth, the outer one first."""
    waiting = [graph]
    while waiting:
        graph_inside = waiting.pop()
        yield graph_inside
        waiting += [inner for node in graph_inside.node for inner in graphs_of(node)]


def _stripped(model: onnx.ModelProto, declared: InputSpec) -> onnx.ModelProto:
    """A copy without the weights' data, which takes two samples."""
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


def _check_loops(model: onnx.ModelProto, where: str) -> None:
    """Raise ``UserError`` for a loop that is told by a constant to take too many rounds."""
    seen: dict[str, Any] = {}
    for graph in every_graph(model.graph):
        seen |= told(graph)
        for node in graph.node:
            if node.op_type == "Loop" and len(node.input) > 1 and not node.input[1]:
                rounds = seen.get(node.input[0])
                if rounds is not None and rounds.size == 1 and rounds.item() > LOOP_ROUNDS.most:
                    name = (node.name or next(iter(node.output), ""))[:80]
                    raise _too_much(LOOP_ROUNDS, rounds.item(), f"{where}: the loop {name!r}")

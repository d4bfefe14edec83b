"""Computes the sizes of a graph that follow from its constants and shapes alone."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from onnx import ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

MOST = 1024  # numbers that a shape, or what one is made of, has at most
NODES = 5000  # of them are computed at most, each time
FOLDED: Final = frozenset(
    {
        "Abs", "Add", "Cast", "Ceil", "Concat", "Div", "Floor", "Gather", "Identity", "Max", "Min", "Mod", "Mul", "Neg",
        "Pow", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Slice", "Split", "Sqrt", "Squeeze",
        "Sub", "Unsqueeze",
    }
)  # fmt: skip


def told(graph: onnx.GraphProto) -> dict[str, Any]:
    """The few numbers that a graph holds, by name.

    >>> tensor = numpy_helper.from_array(np.array([2, 3]), "sizes")
    >>> told(helper.make_graph([], "g", [], [], [tensor]))["sizes"].tolist()
    [2, 3]
    """
    held = [(tensor.name, tensor) for tensor in graph.initializer]
    held += [
        (node.output[0], attribute.t)
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Constant" and node.output and attribute.HasField("t")
    ]
    numbers = {}
    for name, tensor in held:
        if np.prod([float(size) for size in tensor.dims]) <= MOST:
            array = numpy_helper.to_array(tensor)
            if array.dtype.kind in "iufb":
                numbers[name] = array
    return numbers


def fold_sizes(model: onnx.ModelProto, shaped: onnx.ModelProto) -> bool:
    """Put numbers in place of the nodes of the outer graph that compute them, in place; False where there were none.

    Args:
        model: what is changed.
        shaped: the same with the shapes that are known.

    >>> given = [numpy_helper.from_array(np.array([number]), name) for number, name in ((5, "five"), (3, "three"))]
    >>> nodes = [helper.make_node("Mod", ["five", "three"], ["two"])]
    >>> model = helper.make_model(helper.make_graph(nodes, "g", [], [], given))
    >>> fold_sizes(model, model), len(model.graph.node), told(model.graph)["two"].tolist()
    (True, 0, [2])
    """
    values = (*shaped.graph.input, *shaped.graph.value_info, *shaped.graph.output)
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}
    shapes = {name: sizes for name, sizes in shapes.items() if sizes and min(sizes) > 0}
    shapes |= {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    known = told(model.graph)
    kept: list[Any] = []
    made: dict[str, Any] = {}
    for node in model.graph.node:
        computed = _computed(node, known, shapes, model) if len(made) < NODES else None
        if computed is None:
            kept.append(type(node).FromString(node.SerializeToString()))
        else:
            known |= computed
            made |= computed
    if made:
        del model.graph.node[:]
        model.graph.node.extend(kept)
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in made.items())
    return bool(made)


def _computed(
    node: Any, known: dict[str, Any], shapes: dict[str, list[int]], model: onnx.ModelProto
) -> dict[str, Any] | None:
    """The outputs of a node on known numbers, by name; None where they cannot be computed."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in ("Shape", "Size") and len(node.input) == 1 and node.input[0] in shapes:
        sizes = shapes[node.input[0]]
        if node.op_type == "Size":
            return {node.output[0]: np.array(np.prod(sizes, dtype=np.float64)).astype(np.int64)}
        ends = {entry.name: entry.i for entry in node.attribute}
        return {node.output[0]: np.array(sizes[slice(ends.get("start", 0), ends.get("end"))], np.int64)}
    given = {name: known.get(name) for name in node.input if name}
    if node.op_type not in FOLDED or any(array is None for array in given.values()) or len(node.input) > 64:
        return None

    inputs, outputs = ([ValueInfoProto(name=name) for name in names] for names in (given, filter(None, node.output)))
    graph = helper.make_graph([node], "sizes", inputs, outputs)
    try:
        with np.errstate(all="ignore"):
            made = ReferenceEvaluator(helper.make_model(graph, opset_imports=model.opset_import)).run(None, given)
    except Exception:  # its errors share no base class of their own; what it cannot compute is not known
        return None
    arrays = [np.asarray(array) for array in made]
    if any(array.size > MOST or array.dtype.kind not in "iufb" for array in arrays):
        return None
    return dict(zip(filter(None, node.output), arrays, strict=False))

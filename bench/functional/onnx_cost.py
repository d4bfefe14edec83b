"""Parameters, bits and multiply-accumulates of an ONNX file."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto

from bench.functional.module_cost import Bits
from bench.functional.onnx_sizes import fold_sizes

# where each operator takes its weight
WEIGHT = {
    "Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "ConvInteger": 1, "MatMulInteger": 1,
    "QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3,
}  # fmt: skip
# inputs that describe a quantiser or running statistics, not the function's own parameters
AUXILIARY = {
    "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7), "QGemm": (1, 2, 4, 5, 7, 8), "ConvInteger": (2, 3), "MatMulInteger": (2, 3),
    "QLinearAdd": (1, 2, 4, 5, 6, 7), "BatchNormalization": (3, 4), "Clip": (1, 2), "Resize": (1, 2, 3), "Pad": (2,),
}  # fmt: skip
PASSING = frozenset({"DequantizeLinear", "QuantizeLinear", "Clip", "Transpose", "Reshape", "Identity", "Cast"})
# operators that hold products of their own; control flow may hold anything
HIDING = frozenset({"LSTM", "GRU", "RNN", "Einsum", "Attention", "DFT", "STFT", "DeformConv", "If", "Loop", "Scan"})
SHAPES = frozenset({"INT64", "BOOL", "STRING"})  # types of shapes, axes and masks, never of weights


class Figures(NamedTuple):
    """The figures of a graph; None where one cannot be told."""

    parameters: int
    bits: Bits | None
    macs: int | None
    reason: str = ""  # why there are no multiply-accumulates


class _Graph:
    """Constants and makers of a graph by name."""

    def __init__(self, model: ModelProto) -> None:
        self.nodes: list[NodeProto] = list(model.graph.node)
        self.maker = {output: node for node in self.nodes for output in node.output}
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t

    def number(self, name: str) -> float:
        return float(onnx.numpy_helper.to_array(self.constants[name]))

    def weight(self, name: str) -> tuple[TensorProto, float] | None:
        """The stored tensor behind an input, through its quantisers, and its nominal width."""
        nominal = math.inf
        while name not in self.constants:
            node = self.maker.get(name)
            if node is None or node.op_type not in PASSING:
                return None
            nominal = min(nominal, self._width(node))
            name = node.input[0]
        return self.constants[name], min(nominal, type_bits(self.constants[name]))

    def _width(self, node: NodeProto) -> float:
        """The number of bits that a quantiser leaves."""
        if node.op_type == "Clip" and len(node.input) == 3 and all(name in self.constants for name in node.input[1:]):
            low, high = (self.number(name) for name in node.input[1:])
            return math.ceil(math.log2(high - low + 1)) if high > low else math.inf
        if node.op_type == "QuantizeLinear":
            zero = node.input[2] if len(node.input) > 2 else ""
            return float(type_bits(self.constants[zero])) if zero in self.constants else 8.0
        return math.inf


def type_bits(tensor: TensorProto) -> int:
    """Bits an element as stored.

    >>> import onnx
    >>> type_bits(onnx.helper.make_tensor("w", onnx.TensorProto.INT8, [2], [1, -1]))
    8
    """
    name = onnx.TensorProto.DataType.Name(tensor.data_type)
    for width, types in {4: ("INT4", "UINT4", "FLOAT4E2M1"), 2: ("INT2", "UINT2")}.items():
        if name in types:
            return width
    return int(8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def onnx_figures(model: bytes, shape: tuple[int, ...]) -> Figures:
    """Parameters, bits a weight, and multiply-accumulates for one sample of ``shape``, read from the graph alone.

    Convolution: output elements · kernel elements · input channels / groups. Product of (n, k) and (k, m): n · k · m.
    Parameters are the stored numbers, scales and zero points of quantisers and running statistics not among them.

    Args:
        model: an ONNX file's bytes.
        shape: of one sample, without the batch.

    >>> from onnx import TensorProto, helper
    >>> entry, exit_ = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
    ...                 for name, size in (("x", 3), ("y", 2)))
    >>> weight = helper.make_tensor("w", TensorProto.FLOAT, [3, 2], [0.5] * 6)
    >>> graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [entry], [exit_], [weight])
    >>> onnx_figures(helper.make_model(graph).SerializeToString(), (3,))
    Figures(parameters=6, bits=Bits(stored=32.0, nominal=32.0), macs=6, reason='')
    """
    proto = onnx.load_model_from_string(model)
    graph = _Graph(proto)
    return Figures(_parameters(graph), _bits(graph), *_macs(proto, graph, shape))


def _parameters(graph: _Graph) -> int:
    auxiliary = {
        name
        for node in graph.nodes
        for index, name in enumerate(node.input)
        if index in AUXILIARY.get(node.op_type, ())
    }
    return sum(
        math.prod(tensor.dims)
        for name, tensor in graph.constants.items()
        if tensor.dims and name not in auxiliary and onnx.TensorProto.DataType.Name(tensor.data_type) not in SHAPES
    )


def _weights(graph: _Graph) -> dict[str, tuple[TensorProto, float]]:
    weights = {}
    for node in graph.nodes:
        if node.op_type in WEIGHT:
            name = node.input[WEIGHT[node.op_type]]
            weight = graph.weight(name)
            if weight is not None:
                weights[name] = weight
    return weights


def _bits(graph: _Graph) -> Bits | None:
    weights = list(_weights(graph).values())
    sizes = np.array([math.prod(tensor.dims) for tensor, _ in weights], dtype=float)
    if not sizes.sum():
        return None
    stored = np.array([type_bits(tensor) for tensor, _ in weights])
    nominal = np.array([width for _, width in weights])
    return Bits(float((sizes * stored).sum() / sizes.sum()), float((sizes * nominal).sum() / sizes.sum()))


def _dimensions(value: Any) -> list[int] | None:
    """The shape of a value, or None where any of it is unknown."""
    sizes = [entry.dim_value for entry in value.type.tensor_type.shape.dim]
    return sizes if sizes and all(size > 0 for size in sizes) else None


def _macs(proto: ModelProto, graph: _Graph, shape: tuple[int, ...]) -> tuple[int | None, str]:
    """The products, by the shapes that inference gives for a batch of one; None, and why, where one is not known."""
    foreign = {n.op_type: n.domain for n in graph.nodes if n.domain not in ("", "ai.onnx") and n.op_type not in WEIGHT}
    if foreign:  # they hide what they compute, and shapes stop at them
        named = ", ".join(f"{domain}.{operator}" for operator, domain in foreign.items())
        return None, f"what {named} computes is not known"
    recurrent = sorted({node.op_type for node in graph.nodes} & HIDING)
    if recurrent:
        return None, f"the products within {', '.join(recurrent)} are not counted"
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    constants = {tensor.name for tensor in fixed.graph.initializer}
    image = next(value for value in fixed.graph.input if value.name not in constants)
    for entry, size in zip(image.type.tensor_type.shape.dim, (1, *shape), strict=True):
        entry.Clear()
        entry.dim_value = size
    del fixed.graph.value_info[:]  # they hold the symbolic batch
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    shapes = _shapes(fixed)
    shapes |= {name: list(tensor.dims) for name, tensor in graph.constants.items()}
    total = 0
    for node in graph.nodes:
        if node.op_type in WEIGHT:
            count = _node_macs(node, shapes)
            if count is None:
                return None, f"the shapes at {node.name or node.output[0]!r} ({node.op_type}) are not known"
            total += count
    return total, ""


def _shapes(model: ModelProto) -> dict[str, list[int] | None]:
    """The shape of every value, with sizes that the graph computes from its constants put in, which changes it."""
    while True:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        if not fold_sizes(model, inferred):
            graph = inferred.graph
            shapes = {value.name: _dimensions(value) for value in (*graph.input, *graph.value_info, *graph.output)}
            return shapes | {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}


def _node_macs(node: NodeProto, shapes: dict[str, list[int] | None]) -> int | None:
    """Multiply-accumulates of one counted operator."""
    given, weight = shapes.get(node.input[0]), shapes.get(node.input[WEIGHT[node.op_type]])
    made = shapes.get(node.output[0])
    if weight is None or given is None or made is None:
        return None
    if node.op_type == "ConvTranspose":
        return math.prod(given) * math.prod(weight[1:])
    if "Conv" in node.op_type:
        return math.prod(made) * math.prod(weight[1:])
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return math.prod(made) * (given[0] if transposed else given[-1])

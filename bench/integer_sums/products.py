"""The nodes of an ONNX graph that sum products of 8-bit codes, and what of them can saturate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from bench.integer_sums.pairs import Integers, can_saturate, kernel_matrix


class Operands(NamedTuple):
    """The positions of an operator's inputs; -1: it has no such input."""

    activation: int
    weight: int
    activation_zero: int
    weight_zero: int
    kernel: bool = False  # a convolution


OPERANDS: Final[dict[str, Operands]] = {
    "QLinearConv": Operands(0, 3, 2, 5, kernel=True),
    "ConvInteger": Operands(0, 1, 2, 3, kernel=True),
    "QLinearMatMul": Operands(0, 3, 2, 5),
    "QGemm": Operands(0, 3, 2, 5),
    "MatMulInteger": Operands(0, 1, 2, 3),
    "MatMulIntegerToFloat": Operands(0, 1, 4, 5),
    "DynamicQuantizeMatMul": Operands(0, 1, -1, 3),
    "QAttention": Operands(0, 1, 6, 7),
    "DynamicQuantizeLSTM": Operands(0, 1, -1, 9),
}
"""Operators that sum products of 8-bit codes."""

SATURATING: Final[dict[str, tuple[str, str]]] = dict.fromkeys(OPERANDS, ("uint8", "int8")) | {
    "ConvInteger": ("int8", "uint8")
}
"""Types of activation and weight for which an operator's sums saturate; all other types are summed exactly."""


@dataclass(frozen=True, eq=False)
class Product:
    """A node that sums products of 8-bit codes."""

    node: NodeProto
    types: tuple[str, str]  # of activation and weight; "" where the graph does not say
    weights: NDArray[np.integer] | None  # as stored; None: made by another node

    @property
    def name(self) -> str:
        """The node's name, or that of its first output."""
        return str(self.node.name or self.node.output[0])

    def attribute(self, name: str, default: int) -> int:
        """A whole number among the node's attributes."""
        return next((int(entry.i) for entry in self.node.attribute if entry.name == name), default)

    def attributes(self, name: str) -> list[int]:
        """Whole numbers among the node's attributes; none where it is not there."""
        return next((list(entry.ints) for entry in self.node.attribute if entry.name == name), [])

    @property
    def depthwise(self) -> bool:
        """Whether it is a convolution with one channel in and one out a group: a kernel of its own, always exact."""
        if self.node.op_type != "QLinearConv" or self.weights is None:
            return False
        return self.weights.shape[:2] == (self.attribute("group", 1), 1)

    @property
    def suspect(self) -> bool:
        """Whether its types are such that sums saturate on some processors; unknown types may be those."""
        wanted = SATURATING[self.node.op_type]
        return not self.depthwise and all(own in ("", other) for own, other in zip(self.types, wanted, strict=True))

    def matrix(self) -> Integers:
        """The product's constant weights (k, outputs), in the order of the reduction."""
        assert self.weights is not None
        if OPERANDS[self.node.op_type].kernel:
            return kernel_matrix(self.weights, channel_first=self.node.op_type == "ConvInteger")
        turned = self.node.op_type == "QGemm" and self.attribute("transB", 0)
        whole = self.weights.T if turned else self.weights
        if whole.ndim < 2:
            return np.asarray(whole, dtype=np.int64).reshape(-1, 1)
        # outputs of all matrices of a batch, or directions, side by side
        return np.asarray(np.moveaxis(whole, -2, 0), dtype=np.int64).reshape(whole.shape[-2], -1)

    @property
    def share(self) -> float | None:
        """The share of its weight pairs that can saturate; None where the weights are not constant."""
        if not self.suspect:
            return 0.0
        if self.weights is None:
            return None
        codes = (-128, 127) if SATURATING[self.node.op_type][0] == "int8" else (0, 255)
        able = can_saturate(self.matrix(), codes)
        return float(able.mean()) if able.size else 0.0


def products_of(model: ModelProto) -> list[Product]:
    """Every node of a graph, and of the graphs inside its nodes, that sums products of 8-bit codes."""
    return list(_walk(model.graph, {}, {}))


def _walk(
    graph: GraphProto, constants: Mapping[str, NDArray[np.generic]], types: Mapping[str, str]
) -> Iterator[Product]:
    def name_of(element: int) -> str:
        return helper.tensor_dtype_to_np_dtype(element).name if element else ""

    known = dict(types)
    for value in (*graph.input, *graph.value_info, *graph.output):
        known[value.name] = name_of(value.type.tensor_type.elem_type)
    held = dict(constants)
    for tensor in graph.initializer:
        known[tensor.name] = name_of(tensor.data_type)
        if known[tensor.name] in ("int8", "uint8"):
            held[tensor.name] = numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant":
            for entry in node.attribute:
                if entry.HasField("t"):
                    held[node.output[0]] = numpy_helper.to_array(entry.t)
                    known[node.output[0]] = name_of(entry.t.data_type)
        if node.op_type == "DynamicQuantizeLinear":
            known[node.output[0]] = "uint8"
        if node.op_type == "QuantizeLinear":
            known[node.output[0]] = known.get(node.input[2], "") if len(node.input) > 2 and node.input[2] else ""
        if node.op_type in OPERANDS:
            yield _product(node, held, known)
        for entry in node.attribute:
            for inner in (*entry.graphs, *([entry.g] if entry.HasField("g") else [])):
                yield from _walk(inner, held, known)


def _product(node: NodeProto, constants: Mapping[str, NDArray[np.generic]], types: Mapping[str, str]) -> Product:
    operands = OPERANDS[node.op_type]

    def kind(at: int, zero: int) -> str:
        names = [node.input[index] for index in (zero, at) if 0 <= index < len(node.input) and node.input[index]]
        return next((types[name] for name in names if types.get(name)), "")

    activation = "uint8" if operands.activation_zero < 0 else kind(operands.activation, operands.activation_zero)
    constant = constants.get(node.input[operands.weight])
    weights = None if constant is None else np.asarray(constant)
    weight = kind(operands.weight, operands.weight_zero) if weights is None else weights.dtype.name
    return Product(node, (activation, weight), weights)

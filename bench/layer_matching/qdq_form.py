"""Operators on integers, written as the same operators on real numbers between dequantisers and quantisers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from bench.errors import UserError

FIRST_QUANTISERS = 10  # the opset with QuantizeLinear
SAME = {"QLinearGlobalAveragePool": "GlobalAveragePool", "QLinearAveragePool": "AveragePool"}
UNARY = {**SAME, "QLinearSigmoid": "Sigmoid", "QLinearLeakyRelu": "LeakyRelu", "QLinearSoftmax": "Softmax"}
BINARY = {"QLinearAdd": "Add", "QLinearMul": "Mul", "QLinearMatMul": "MatMul"}


def in_qdq_form(model: ModelProto) -> ModelProto:
    """A copy in which ``QLinearConv``, ``QGemm`` and their like are float operators between Q and DQ pairs.

    That is how ONNX defines them; sums are then rounded in float32, so that single results may differ by one step.
    Constant integer weights become float ones. Functions are inlined. Other nodes stay.

    Raises:
        UserError: an operator that cannot be taken apart, with node, operator and opset.
    """
    if model.functions:
        import onnx.inliner

        model = onnx.inliner.inline_local_functions(model)
    made = ModelProto()
    made.CopyFrom(model)
    writer = _Writer(made)
    for node in model.graph.node:
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise refused(model, node, "control flow cannot be taken apart into layers")
        rule = RULES.get(node.op_type)
        if rule is None:
            if node.op_type.startswith(("QLinear", "QAttention", "QEmbed")):
                raise refused(model, node, "it cannot be taken apart into layers")
            writer.nodes.append(node)
            continue
        if writer.opset < FIRST_QUANTISERS:
            raise refused(model, node, f"opset {FIRST_QUANTISERS} is needed beside it")
        rule(writer, node)
    del made.graph.node[:]
    made.graph.node.extend(writer.nodes)
    made.graph.initializer.extend(writer.constants)
    return made


def refused(model: ModelProto, node: NodeProto, why: str) -> UserError:
    """The error that names a node, its operator and its opset."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    opset = next(
        (e.version for e in model.opset_import if e.domain in ({"", "ai.onnx"} if not domain else {domain})), 1
    )
    kind = f"{domain}.{node.op_type}" if domain else node.op_type
    name = node.name or (node.output[0] if node.output else "")
    return UserError.at("onnx", f"node {name!r} ({kind}, opset {opset}): {why}", "give a file without it")


class _Writer:
    """Collects the nodes and constants of the new graph."""

    def __init__(self, model: ModelProto) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[Any] = []
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        versions = {entry.domain: entry.version for entry in model.opset_import}
        self.opset = versions.get("", versions.get("ai.onnx", 1))

    def value(self, name: str) -> NDArray[Any] | None:
        """The array of an initialiser; None for anything else."""
        return numpy_helper.to_array(self.stored[name]) if name in self.stored else None

    def add(self, operator: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any) -> str:
        node = helper.make_node(operator, list(inputs), [output], name=name or f"{output}/{operator}", **attributes)
        self.nodes.append(node)
        return output

    def constant(self, array: NDArray[Any], name: str) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=np.float32), name))
        return name

    def real(self, node: NodeProto, first: int, axis: int = 0) -> str:
        """The real value of (codes, scale, zero point) that start at input ``first``."""
        codes, scale, zero = (list(node.input) + [""] * 3)[first : first + 3]
        name = f"{node.output[0]}/real_{first}"
        arrays = [self.value(part) for part in (codes, scale, zero)]
        if arrays[0] is not None and arrays[1] is not None and (not zero or arrays[2] is not None):
            wide = [np.asarray(a, dtype=np.float64) for a in (arrays[0], arrays[1], arrays[2] if zero else 0)]
            shape = [1] * wide[0].ndim
            if wide[0].ndim:
                shape[axis] = -1
            steps, origin = (w.reshape(shape) if w.size > 1 else w.reshape(()) for w in wide[1:])
            return self.constant((wide[0] - origin) * steps, name)
        return self.add("DequantizeLinear", [part for part in (codes, scale, zero) if part], name)

    def quantised(self, real: str, scale: str, zero: str, node: NodeProto) -> None:
        self.add("QuantizeLinear", [part for part in (real, scale, zero) if part], node.output[0])

    def bias(self, node: NodeProto, index: int, scales: tuple[int, int], factor: float = 1.0) -> list[str]:
        """The real bias of int32 codes at input ``index``: its scale is the product of the two others."""
        if len(node.input) <= index or not node.input[index]:
            return []
        codes = node.input[index]
        first, second = (node.input[i] for i in scales)
        arrays = [self.value(name) for name in (codes, first, second)]
        name = f"{node.output[0]}/bias"
        if all(array is not None for array in arrays):
            wide = [np.asarray(array, dtype=np.float64) for array in arrays]
            return [self.constant(factor * wide[0] * (wide[1].reshape(-1) * wide[2].reshape(-1)), name)]
        self.add("Cast", [codes], f"{name}_codes", to=onnx.TensorProto.FLOAT)
        self.add("Mul", [first, second], f"{name}_scale")
        self.constant(np.asarray(factor), f"{name}_factor")
        self.add("Mul", [f"{name}_codes", f"{name}_scale"], f"{name}_unscaled")
        return [self.add("Mul", [f"{name}_unscaled", f"{name}_factor"], name)]


def _attributes(node: NodeProto, *left_out: str) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name not in left_out}


def _convolution(writer: _Writer, node: NodeProto) -> None:
    inputs = [writer.real(node, 0), writer.real(node, 3), *writer.bias(node, 8, (1, 4))]
    real = writer.add("Conv", inputs, f"{node.output[0]}/real", node.name, **_attributes(node))
    writer.quantised(real, node.input[6], node.input[7], node)


def _gemm(writer: _Writer, node: NodeProto) -> None:
    attributes = _attributes(node)
    axis = 0 if attributes.get("transB") else 1
    inputs = [writer.real(node, 0), writer.real(node, 3, axis)]
    inputs += writer.bias(node, 6, (1, 4), float(attributes.get("alpha", 1.0)))
    scale = node.input[7] if len(node.input) > 7 else ""
    output = f"{node.output[0]}/real" if scale else node.output[0]
    real = writer.add("Gemm", inputs, output, node.name, **attributes)
    if scale:
        writer.quantised(real, scale, node.input[8] if len(node.input) > 8 else "", node)


def _binary(writer: _Writer, node: NodeProto) -> None:
    operator = BINARY[node.op_type]
    inputs = [writer.real(node, 0), writer.real(node, 3, axis=-1)]
    real = writer.add(operator, inputs, f"{node.output[0]}/real", node.name, **_attributes(node))
    writer.quantised(real, node.input[6], node.input[7] if len(node.input) > 7 else "", node)


def _unary(writer: _Writer, node: NodeProto) -> None:
    attributes = _attributes(node, "channels_last", "opset")
    last = bool(_attributes(node).get("channels_last"))
    given = writer.real(node, 0)
    if last:
        given = writer.add("Transpose", [given], f"{node.output[0]}/channels_first", perm=[0, 3, 1, 2])
    real = writer.add(UNARY[node.op_type], [given], f"{node.output[0]}/real", node.name, **attributes)
    if last:
        real = writer.add("Transpose", [real], f"{node.output[0]}/channels_last", perm=[0, 2, 3, 1])
    writer.quantised(real, node.input[3], node.input[4] if len(node.input) > 4 else "", node)


def _concatenation(writer: _Writer, node: NodeProto) -> None:
    inputs = [writer.real(node, first) for first in range(2, len(node.input), 3)]
    real = writer.add("Concat", inputs, f"{node.output[0]}/real", node.name, **_attributes(node))
    writer.quantised(real, node.input[0], node.input[1], node)


RULES: dict[str, Callable[[_Writer, NodeProto], None]] = {
    "QLinearConv": _convolution,
    "QGemm": _gemm,
    "QLinearConcat": _concatenation,
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(UNARY, _unary),
}

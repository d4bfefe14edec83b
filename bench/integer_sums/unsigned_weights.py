"""The same ONNX file with 8-bit sums that are exact on every processor: weights int8 rewritten as uint8."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from bench.integer_sums.products import OPERANDS, SATURATING

WEIGHTED: Final = {"Conv": 1, "MatMul": 1, "Gemm": 1}
"""Float operators that runtimes fuse with the quantisers around them into integer ones, and where their weight is."""
MOVES: Final = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
OFFSET: Final = 128
OTHER: Final[dict[str, tuple[type[np.integer], int]]] = {"int8": (np.uint8, OFFSET), "uint8": (np.int8, -OFFSET)}


def with_exact_sums(model: bytes) -> bytes:
    """The same function with the codes of int8 weights, and their zero points, 128 higher, as uint8.

    ``(w + 128) - (z + 128) = w - z``, so no real number changes, and products of uint8 with uint8 are summed exactly
    on x86 without VNNI too. A node that takes int8 activations keeps its weights, such sums are exact already; between
    quantisers weights change whatever the activations, of which ONNX Runtime makes uint8 on x86. ConvInteger is the
    other way round: its uint8 weights beside int8 activations become int8. Graphs inside nodes stay as they are. What
    is no longer read goes, so that nothing runs for nothing. A file that does not parse is returned as it is.
    """
    from google.protobuf.message import DecodeError

    try:
        loaded = onnx.load_model_from_string(model)
    except DecodeError:
        return model
    changed = _Rewriting(loaded).run()
    return loaded.SerializeToString() if changed else model


class _Rewriting:
    """A graph while its weights are rewritten; each value is rewritten once."""

    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        self.makers: dict[str, NodeProto] = {name: node for node in self.graph.node for name in node.output}
        self.constants: dict[str, NDArray[np.generic]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer
        }
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute[0].HasField("t"):
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        declared = (*self.graph.input, *self.graph.value_info)
        self.declared = {value.name: value.type.tensor_type.elem_type for value in declared}
        self.taken = {*self.constants, *self.makers, *(value.name for value in self.graph.input)}
        self.shifted: dict[str, str | None] = {}
        self.before: dict[int, list[NodeProto]] = {}  # new nodes, by the index of the node that reads them
        self.index = 0

    def run(self) -> bool:
        """Rewrite every weight that can be; whether anything was."""
        changed = False
        before = _read(self.graph)
        for index, node in enumerate(list(self.graph.node)):
            self.index = index
            if node.op_type in OPERANDS:
                changed |= self._integer(node)
            elif node.op_type in WEIGHTED and node.domain == "":
                made = self._real(node.input[WEIGHTED[node.op_type]])
                if made is not None:
                    node.input[WEIGHTED[node.op_type]] = made
                    changed = True
        if changed:
            nodes = [item for index, node in enumerate(self.graph.node) for item in (*self.before.get(index, ()), node)]
            del self.graph.node[:]
            self.graph.node.extend(nodes)
            while gone := before - _read(self.graph):
                self._drop(gone)
                before -= gone
        return changed

    def _drop(self, gone: Collection[str]) -> None:
        """Take out what nobody reads any more: nodes, and constants that are no inputs."""
        kept = [node for node in self.graph.node if not set(node.output) <= {*gone, ""}]
        inputs = {value.name for value in self.graph.input}
        held = [tensor for tensor in self.graph.initializer if tensor.name not in gone or tensor.name in inputs]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(kept)
        self.graph.initializer.extend(held)

    def _integer(self, node: NodeProto) -> bool:
        """A node that takes codes: its weight and the weight's zero point."""
        if node.op_type == "DynamicQuantizeLSTM":  # its two weights share a type
            return False
        operands, (activation, weight) = OPERANDS[node.op_type], SATURATING[node.op_type]
        zero = node.input[operands.weight_zero] if len(node.input) > operands.weight_zero else ""
        kind = self._code_kind(node.input[operands.weight])
        telling = [
            node.input[at] for at in (operands.activation_zero, operands.activation) if 0 <= at < len(node.input)
        ]
        actual = next(filter(None, map(self._code_kind, telling)), activation)
        if kind != weight or actual != activation or (zero and zero not in self.constants):
            return False
        made = self._codes(node.input[operands.weight])
        if made is None:
            return False
        node.input[operands.weight] = made
        given = self.constants[zero] if zero else np.zeros((), dtype=np.dtype(weight))
        node.input.extend([""] * (operands.weight_zero + 1 - len(node.input)))
        node.input[operands.weight_zero] = self._constant(f"{made}/zero_point", _moved(given))
        return True

    def _real(self, name: str) -> str | None:
        """A real weight that stands behind a dequantiser of int8, made of uint8; None where it does not."""
        maker = self.makers.get(name)
        if maker is None:
            return None
        if maker.op_type in MOVES:
            below = self._real(maker.input[0])
            return None if below is None else self._copy(maker, {0: below})
        if maker.op_type != "DequantizeLinear" or self._code_kind(maker.input[0]) != "int8":
            return None
        zero = maker.input[2] if len(maker.input) > 2 else ""
        scale = self.constants.get(maker.input[1])
        if (zero and zero not in self.constants) or (not zero and scale is None):
            return None
        codes = self._codes(maker.input[0])
        if codes is None:
            return None
        given = self.constants[zero] if zero else np.zeros(np.shape(scale), dtype=np.int8)  # type: ignore[arg-type]
        return self._copy(maker, {0: codes, 2: self._constant(f"{codes}/zero_point", _moved(given))})

    def _code_kind(self, name: str) -> str:
        """The type of a value of codes; "" where it is not known."""
        if name in self.constants:
            return self.constants[name].dtype.name
        if self.declared.get(name) in (TensorProto.INT8, TensorProto.UINT8):
            return "int8" if self.declared[name] == TensorProto.INT8 else "uint8"
        maker = self.makers.get(name)
        if maker is None:
            return ""
        if maker.op_type in MOVES or maker.op_type == "Clip":
            return self._code_kind(maker.input[0])
        if maker.op_type == "QuantizeLinear" and len(maker.input) > 2 and maker.input[2] in self.constants:
            return self.constants[maker.input[2]].dtype.name
        return "uint8" if maker.op_type == "DynamicQuantizeLinear" else ""

    def _codes(self, name: str) -> str | None:
        """The same codes in the other type; None where that cannot be."""
        if name not in self.shifted:
            self.shifted[name] = self._made(name)
        return self.shifted[name]

    def _made(self, name: str) -> str | None:
        if name in self.constants:
            return self._constant(f"{name}/{OTHER[self.constants[name].dtype.name][0].__name__}", self._moved(name))
        maker = self.makers.get(name)
        if maker is None:
            return None
        if maker.op_type in MOVES:
            below = self._codes(maker.input[0])
            return None if below is None else self._copy(maker, {0: below})
        if maker.op_type == "Clip":
            limits = {at: text for at, text in enumerate(maker.input) if at and text}
            below = self._codes(maker.input[0]) if all(text in self.constants for text in limits.values()) else None
            if below is None:
                return None
            bounds = {at: self._constant(f"{below}/limit_{at}", self._moved(text)) for at, text in limits.items()}
            return self._copy(maker, {0: below, **bounds})
        if maker.op_type == "QuantizeLinear" and len(maker.input) > 2 and maker.input[2] in self.constants:
            return self._copy(maker, {2: self._constant(f"{name}/zero_point", self._moved(maker.input[2]))})
        return None

    def _moved(self, name: str) -> NDArray[np.generic]:
        return _moved(self.constants[name])

    def _constant(self, name: str, array: NDArray[np.generic]) -> str:
        new = self._free(name)
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), new))
        return new

    def _copy(self, node: NodeProto, inputs: Mapping[int, str]) -> str:
        """A copy of a node with other inputs, before the node at work; the name of its first output."""
        made = onnx.NodeProto()
        made.CopyFrom(node)
        if node.op_type == "QuantizeLinear":  # its zero point tells the type
            del made.attribute[:]
            made.attribute.extend(entry for entry in node.attribute if entry.name != "output_dtype")
        made.input.extend([""] * (max(inputs) + 1 - len(made.input)))
        for at, name in inputs.items():
            made.input[at] = name
        made.name = f"{node.name}/exact_sums" if node.name else ""
        made.output[0] = self._free(f"{node.output[0]}/exact_sums")
        # an earlier reader may share what is made here: it stands before the first of them
        self.before.setdefault(self.index, []).append(made)
        return str(made.output[0])

    def _free(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name


def _read(graph: GraphProto) -> set[str]:
    """Names that somebody reads: nodes, also in the graphs inside them, and who takes the outputs."""
    names = {value.name for value in graph.output}
    for node in graph.node:
        names.update(node.input)
        for entry in node.attribute:
            for inner in (*entry.graphs, *([entry.g] if entry.HasField("g") else [])):
                names |= _read(inner)
    return names


def _moved(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Codes in the other 8-bit type: 128 higher as uint8, or 128 lower as int8.

    >>> _moved(np.array([-128, 0, 127], dtype=np.int8))
    array([  0, 128, 255], dtype=uint8)
    """
    dtype, offset = OTHER[array.dtype.name]
    return (array.astype(np.int16) + offset).astype(dtype)

"""An ONNX file as the graph that folding looks at."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.graph.batch_norm_folding.formulas import Affine, Diagonal, Linear, after, batch_norm
from bench.graph.batch_norm_folding.onnx_constants import Constants, attributes, shapes_of
from bench.graph.batch_norm_folding.structure import Graph, Node, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto, NodeProto

RESHAPES = ("Reshape", "Flatten", "Squeeze")
SIZES = ("Shape", "Size")  # read of a value only what no map of channels changes
CONSTANT = "constant:"  # begins the name of an added constant's own node


@dataclass
class OnnxGraph:
    """The graph, its weights in float64, and how its nodes lie in the file.

    ``positions[name]``: where the operators of a layer or BatchNorm stand; a BatchNorm that is followed by its own
    multiplication and addition of constants (a 'scale layer') is one with them. ``unseen``: BatchNorms that cannot be
    looked at, with the reason.
    """

    graph: Graph = field(default_factory=lambda: Graph((), {}))
    weights: dict[str, Affine] = field(default_factory=dict)
    positions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)


def read_file(model: ModelProto) -> OnnxGraph:
    """What each operator of a float ONNX file is to a map of channels."""
    return _Reader(model).read()


class _Reader:
    def __init__(self, model: ModelProto) -> None:
        self.model, self.constants, self.shapes = model, Constants(model), shapes_of(model)
        self.opset = max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=1)
        self.names = _names(model)
        self.readers = Counter(name for node in model.graph.node for name in _read_by(node))
        self.outputs = frozenset(value.name for value in model.graph.output)
        self.made = OnnxGraph()
        self.nodes: list[Node] = []
        self.channels = {
            name: size[1] for name, size in self.shapes.items() if len(size) > 1 and isinstance(size[1], int)
        }

    def read(self) -> OnnxGraph:
        taken: set[int] = set()
        for index, node in enumerate(self.model.graph.node):
            if (
                index in taken
                or node.op_type in SIZES
                or not any(self.constants.depends(name) for name in _outputs(node))
            ):
                continue
            taken |= self.operator(index, node)
        self.made.graph = Graph(tuple(self.nodes), self.channels, self.outputs)
        return self.made

    def operator(self, index: int, node: NodeProto) -> set[int]:
        """Append what an operator is; answers the positions of further operators that it includes."""
        kind = node.op_type if node.domain in ("", "ai.onnx") else ""
        if kind == "BatchNormalization":
            return self.batch_norm(index, node)
        handlers = {
            "Conv": self.convolution, "ConvTranspose": self.convolution, "Gemm": self.gemm, "MatMul": self.matmul,
            "Add": self.sum, "Sum": self.sum, "Concat": self.concat, "AveragePool": self.average,
            "GlobalAveragePool": self.spatial, "ReduceMean": self.mean, "Pad": self.pad, "Identity": self.same,
            "Dropout": self.dropout, "Flatten": self.reshape, "Reshape": self.reshape, "Squeeze": self.reshape,
        }  # fmt: skip
        handler = handlers.get(kind)
        if handler is None or not handler(index, node):
            self.append(index, node, Role.BARRIER)
        return set()

    def append(self, index: int, node: NodeProto, role: Role, **more: Any) -> bool:
        inputs = tuple(name for name in dict.fromkeys(_read_by(node)) if name and self.constants.depends(name))
        if node.op_type in RESHAPES and role is Role.PASS:
            inputs = (node.input[0],)  # not the shape, which may be computed
        if role is Role.CONCAT:
            inputs = tuple(node.input)
        if role in (Role.LAYER, Role.PASS) and len(inputs) != 1:
            return False
        name = self.names[index]
        label = more.pop("label", "") or f"{name} ({node.op_type})"
        self.nodes.append(Node(name, role, inputs, tuple(_outputs(node)), label, **more))
        return True

    def layer(self, index: int, node: NodeProto, weights: Linear, zero_padded: bool) -> bool:
        if not self.append(index, node, Role.LAYER, zero_padded=zero_padded):
            return False
        name = self.names[index]
        self.made.weights[name], self.made.positions[name] = weights, (index,)
        outputs = weights.weight.shape[1] * weights.groups if weights.transposed else weights.weight.shape[0]
        self.channels[node.output[0]] = outputs
        self.channels.setdefault(node.input[0], weights.inputs)
        return True

    def batch_norm(self, index: int, node: NodeProto) -> set[int]:
        name, found = self.names[index], attributes(node)
        values = [self.constants(entry) for entry in node.input[1:5]]
        reason = ""
        if any(value is None for value in values):
            reason = "its statistics or weights are no constants"
        elif found.get("training_mode", 0) or (self.opset < 7 and not found.get("is_test", 0)):
            reason = "it is in training mode"
        elif not found.get("spatial", 1):
            reason = "it has statistics for each position"
        if reason:
            self.made.unseen[name] = reason
            self.append(index, node, Role.BARRIER)
            return set()
        arrays = [np.asarray(value, dtype=np.float64) for value in values]
        made: Affine = batch_norm(arrays[0], arrays[1], arrays[2], arrays[3], found.get("epsilon", 1e-5))
        positions, output = [index], node.output[0]
        for further, following in self._scale_layer(output):
            value = self._vector(following, output, len(arrays[0]))
            if value is None:
                break
            ones, zeros = np.ones_like(value), np.zeros_like(value)
            made = after(made, value, zeros) if following.op_type == "Mul" else after(made, ones, value)
            positions.append(further)
            output = following.output[0]
        assert isinstance(made, Diagonal)
        label = f"{name} (BatchNormalization)"
        self.nodes.append(Node(name, Role.NORM, (node.input[0],), (output,), label))
        self.made.weights[name], self.made.positions[name] = made, tuple(positions)
        self.channels[output] = len(arrays[0])
        self.channels.setdefault(node.input[0], len(arrays[0]))
        return set(positions[1:])

    def _scale_layer(self, value: str) -> Iterator[tuple[int, NodeProto]]:
        """The multiplication, then the addition that alone read a BatchNorm's output."""
        for kind in ("Mul", "Add"):
            if self.readers[value] != 1 or value in self.outputs:
                return
            place = next(i for i, node in enumerate(self.model.graph.node) if value in _read_by(node))
            node = self.model.graph.node[place]
            if node.op_type == kind:
                yield place, node
                value = node.output[0]

    def _vector(self, node: NodeProto, value: str, channels: int) -> Any:
        """The constant that a sum or product adds to or multiplies a value by, as one number a channel."""
        others = [name for name in node.input if name != value]
        constant = self.constants(others[0]) if len(others) == 1 and len(node.input) == 2 else None
        rank = len(self.shapes.get(node.output[0], ()))
        if constant is None or not rank or constant.ndim > rank:
            return None
        padded = constant.reshape((1,) * (rank - constant.ndim) + constant.shape)
        if padded.size not in (1, padded.shape[1]) or padded.shape[1] not in (1, channels):
            return None
        return np.broadcast_to(padded.astype(np.float64).reshape(-1), (channels,)).copy()

    def convolution(self, index: int, node: NodeProto) -> bool:
        found, transposed = attributes(node), node.op_type == "ConvTranspose"
        weight = self.constants(node.input[1])
        given = len(node.input) > 2 and bool(node.input[2])
        bias = self.constants(node.input[2]) if given else None
        if weight is None or (given and bias is None):
            return False
        groups = found.get("group", 1)
        outputs = weight.shape[1] * groups if transposed else weight.shape[0]
        held = np.zeros(outputs) if bias is None else bias.astype(np.float64)
        mode = found.get("auto_pad", b"NOTSET").decode()
        padded = mode.startswith("SAME") or (mode == "NOTSET" and any(found.get("pads", ())))
        made = Linear(weight.astype(np.float64), held, groups, transposed)
        return self.layer(index, node, made, padded or transposed)

    def gemm(self, index: int, node: NodeProto) -> bool:
        found = attributes(node)
        weight = self.constants(node.input[1])
        given = len(node.input) > 2 and bool(node.input[2])
        bias = self.constants(node.input[2]) if given else None
        if weight is None or (given and bias is None) or found.get("transA", 0):
            return False
        made = (weight if found.get("transB", 0) else weight.T).astype(np.float64) * found.get("alpha", 1.0)
        held = np.zeros(1) if bias is None else bias.astype(np.float64) * found.get("beta", 1.0)
        if held.size not in (1, len(made)) or (held.ndim > 1 and held.shape[-1] != held.size):
            return False
        return self.layer(index, node, Linear(made, np.broadcast_to(held.reshape(-1), len(made)).copy()), False)

    def matmul(self, index: int, node: NodeProto) -> bool:
        weight = self.constants(node.input[1])
        if weight is None or weight.ndim != 2 or len(self.shapes.get(node.input[0], ())) != 2:
            return False
        return self.layer(index, node, Linear(weight.T.astype(np.float64), np.zeros(weight.shape[1])), False)

    def sum(self, index: int, node: NodeProto) -> bool:
        """A sum of values of one shape; a constant for each channel is a value with a layer of its own."""
        inputs = [name for name in node.input if self.constants.depends(name)]
        output = node.output[0]
        sizes = {self.shapes.get(name) for name in (*inputs, output)}
        if len(sizes) != 1 or None in sizes or None in (sizes.copy().pop() or ()) or output not in self.channels:
            return False
        if len(inputs) == 1 and len(node.input) == 2:
            value = self._vector(node, inputs[0], self.channels[output])
            if value is None:
                return False
            name = f"{CONSTANT}{self.names[index]}"
            label = f"the constant that {self.names[index]} adds"
            self.nodes.append(Node(name, Role.LAYER, (), (name,), label))
            self.made.weights[name] = Linear(np.zeros((len(value), 0)), value)
            self.made.positions[name] = (index,)
            self.channels[name] = len(value)
            inputs = [inputs[0], name]
        elif len(inputs) != len(node.input):
            return False
        label = f"{self.names[index]} ({node.op_type})"
        self.nodes.append(Node(self.names[index], Role.ADD, tuple(inputs), (output,), label))
        return True

    def concat(self, index: int, node: NodeProto) -> bool:
        rank = len(self.shapes.get(node.output[0], ()))
        along = rank and attributes(node).get("axis", 1) % rank == 1
        known = all(name in self.channels and self.constants.depends(name) for name in node.input)
        if not (along and known):
            return False
        self.channels[node.output[0]] = sum(self.channels[name] for name in node.input)
        return self.append(index, node, Role.CONCAT)

    def average(self, index: int, node: NodeProto) -> bool:
        found = attributes(node)
        padded = found.get("auto_pad", b"NOTSET").startswith(b"SAME") or any(found.get("pads", ()))
        return self.same(index, node, zero_padded=bool(padded and found.get("count_include_pad", 0)))

    def same(self, index: int, node: NodeProto, **more: Any) -> bool:
        if node.input[0] in self.channels:
            self.channels.setdefault(node.output[0], self.channels[node.input[0]])
        return self.append(index, node, Role.PASS, **more)

    def spatial(self, index: int, node: NodeProto) -> bool:
        return self.same(index, node)

    def mean(self, index: int, node: NodeProto) -> bool:
        found, rank = attributes(node), len(self.shapes.get(node.input[0], ()))
        axes = found.get("axes")
        if axes is None and len(node.input) > 1:
            axes = self.constants(node.input[1])
        if axes is None or not rank or any(int(axis) % rank < 2 for axis in axes) or not len(axes):
            return False
        return self.same(index, node)

    def pad(self, index: int, node: NodeProto) -> bool:
        found = attributes(node)
        mode = found.get("mode", b"constant").decode()
        sizes = found.get("pads", found.get("paddings"))
        if sizes is None and len(node.input) > 1:
            sizes = self.constants(node.input[1])
        value = found.get("value", 0.0)
        if len(node.input) > 2 and node.input[2]:
            given = self.constants(node.input[2])
            value = math.nan if given is None else float(given.reshape(-1)[0])
        listed = [] if sizes is None else [int(size) for size in sizes]
        half = len(listed) // 2
        if len(node.input) > 3 or half < 3 or any((*listed[:2], *listed[half : half + 2])):
            return False
        if mode not in ("constant", "reflect", "edge") or (mode == "constant" and value != 0):
            return False
        return self.same(index, node, zero_padded=mode == "constant")

    def dropout(self, index: int, node: NodeProto) -> bool:
        training = self.constants(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        asked = len(node.input) > 2 and bool(node.input[2])
        idle = not asked or (training is not None and not training.any())
        if not idle or (self.opset < 7 and not attributes(node).get("is_test", 0)):
            return False
        if any(self.readers[name] or name in self.outputs for name in node.output[1:]):
            return False
        return self.same(index, node)

    def reshape(self, index: int, node: NodeProto) -> bool:
        """(batch, channels, ...) as (batch, features), or with positions of size 1 dropped or added."""
        before, now = self.shapes.get(node.input[0], ()), self.shapes.get(node.output[0], ())
        sizes = [size for size in before[2:] if isinstance(size, int)]
        if len(before) < 2 or len(now) < 2 or len(sizes) != len(before) - 2 or not isinstance(before[1], int):
            return False
        repeat = math.prod(sizes)
        if now[1] == before[1] and all(isinstance(size, int) for size in now[2:]):
            return math.prod(int(size or 0) for size in now[2:]) == repeat and self.append(index, node, Role.PASS)
        if len(now) == 2 and now[1] == before[1] * repeat:
            return self.append(index, node, Role.PASS, repeat=repeat)
        return False


def _outputs(node: NodeProto) -> list[str]:
    return [name for name in node.output if name]


def _read_by(node: NodeProto) -> list[str]:
    """What an operator reads, in its subgraphs too."""
    names = list(node.input)
    for entry in node.attribute:
        for graph in (*entry.graphs, *([entry.g] if entry.HasField("g") else [])):
            names += [name for inner in graph.node for name in _read_by(inner)]
            names += [value.name for value in graph.output]
    return names


def _names(model: ModelProto) -> list[str]:
    """A name for each operator: its own where that is given and unique, else the value it makes."""
    own = Counter(node.name for node in model.graph.node)
    return [
        node.name if node.name and own[node.name] == 1 else (_outputs(node) or ["?"])[0] for node in model.graph.node
    ]

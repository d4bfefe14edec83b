"""The graph of an ONNX file while it is read: nodes, weights and channels, added operator by operator."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto

from bench.batch_norm_folding.formulas import Affine, Linear
from bench.batch_norm_folding.onnx_files.constants import Constants, shapes_of
from bench.batch_norm_folding.onnx_files.wiring import names_of, outputs_of, read_by
from bench.batch_norm_folding.structure import FoldingGraph, FoldingNode, Role

RESHAPES = ("Reshape", "Flatten", "Squeeze")
CONSTANT = "constant:"  # begins the name of an added constant's own node


@dataclass
class OnnxFoldingGraph:
    """The graph, its weights in float64, and how its nodes lie in the file.

    ``positions[name]``: where the operators of a layer or BatchNorm stand; a BatchNorm that is followed by its own
    multiplication and addition of constants (a 'scale layer') is one with them. ``unseen``: BatchNorms that cannot be
    looked at, with the reason.
    """

    graph: FoldingGraph = field(default_factory=lambda: FoldingGraph((), {}))
    weights: dict[str, Affine] = field(default_factory=dict)
    positions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)


class Draft:
    """A folding graph while a file is read; values that depend on no input are worked out as they are asked for."""

    def __init__(self, model: ModelProto) -> None:
        self.model, self.constants, self.shapes = model, Constants(model), shapes_of(model)
        self.opset = max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=1)
        self.names = names_of(model)
        self.readers = Counter(name for node in model.graph.node for name in read_by(node))
        self.outputs = frozenset(value.name for value in model.graph.output)
        self.made = OnnxFoldingGraph()
        self.nodes: list[FoldingNode] = []
        self.channels = {
            name: size[1] for name, size in self.shapes.items() if len(size) > 1 and isinstance(size[1], int)
        }

    def append(self, index: int, node: NodeProto, role: Role, **more: Any) -> bool:
        """Add an operator as a node of a role; False, and nothing added, where it reads too many values for that."""
        inputs = tuple(name for name in dict.fromkeys(read_by(node)) if name and self.constants.depends(name))
        if node.op_type in RESHAPES and role is Role.PASS:
            inputs = (node.input[0],)  # not the shape, which may be computed
        if role is Role.CONCAT:
            inputs = tuple(node.input)
        if role in (Role.LAYER, Role.PASS) and len(inputs) != 1:
            return False
        name = self.names[index]
        label = more.pop("label", "") or f"{name} ({node.op_type})"
        self.nodes.append(FoldingNode(name, role, inputs, tuple(outputs_of(node)), label, **more))
        return True

    def layer(self, index: int, node: NodeProto, weights: Linear, zero_padded: bool) -> bool:
        """Add a layer with its weights; False as ``append``."""
        if not self.append(index, node, Role.LAYER, zero_padded=zero_padded):
            return False
        name = self.names[index]
        self.made.weights[name], self.made.positions[name] = weights, (index,)
        outputs = weights.weight.shape[1] * weights.groups if weights.transposed else weights.weight.shape[0]
        self.channels[node.output[0]] = outputs
        self.channels.setdefault(node.input[0], weights.inputs)
        return True

    def per_channel(self, node: NodeProto, value: str, channels: int) -> Any:
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

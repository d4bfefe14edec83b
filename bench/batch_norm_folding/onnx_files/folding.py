"""Folding an ONNX file: new weights in place of the old, BatchNorms taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from bench.batch_norm_folding.folding import FoldingResult, KeptBatchNorm, fold_all
from bench.batch_norm_folding.formulas import Affine, Linear
from bench.batch_norm_folding.onnx_files.constants import Constants, attributes, shapes_of
from bench.batch_norm_folding.onnx_files.draft import CONSTANT, OnnxFoldingGraph
from bench.batch_norm_folding.onnx_files.graph import read_file
from bench.batch_norm_folding.onnx_files.wiring import read_by


def fold_onnx(model: ModelProto, *, across_concatenation: bool = True) -> tuple[ModelProto, FoldingResult]:
    """Fold every BatchNorm of an ONNX file whose map the layers around it can take over.

    Computed in float64, cast once to the type of the file's weights. The given model is not changed; operators that
    are not concerned stay as they are.

    Args:
        model: a float network in evaluation mode.
        across_concatenation: False leaves every BatchNorm whose map would pass a concatenation.
    """
    read = read_file(model)
    result = fold_all(read.graph, read.weights, across_concatenation=across_concatenation)
    result = result._replace(kept=result.kept + tuple(KeptBatchNorm(name, why) for name, why in read.unseen.items()))
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _Writer(made, read).write(result)
    return made, result


class _Writer:
    def __init__(self, model: ModelProto, read: OnnxFoldingGraph) -> None:
        self.model, self.read = model, read
        self.constants = Constants(model)
        self.nodes = list(model.graph.node)
        self.taken = {name for node in self.nodes for name in (*node.input, *node.output)}
        self.taken |= {tensor.name for tensor in model.graph.initializer}

    def write(self, result: FoldingResult) -> None:
        if not result.folded:
            return
        gone = {folded.batch_norm for folded in result.folded}
        for name, made in result.changed.items():
            if name not in gone:
                self.layer(name, made)
        renamed: dict[str, str] = {}
        dropped: set[int] = set()
        outputs = {value.name for value in self.model.graph.output}
        for name in self.read.positions:
            positions = self.read.positions[name]
            first = self.nodes[positions[0]]
            if name in gone:
                source, idle = first.input[0], positions
            elif (
                name in result.changed and len(positions) > 1
            ):  # its multiplication and addition are in its weights now
                source, idle = first.output[0], positions[1:]
            else:
                continue
            last = self.nodes[positions[-1]].output[0]
            dropped |= set(idle)
            if last in outputs:
                self.nodes[positions[-1]].CopyFrom(_identity(source, last))
                dropped.discard(positions[-1])
            else:
                renamed[last] = source
        kept = [node for index, node in enumerate(self.nodes) if index not in dropped]
        for node in kept:
            _rename(node, renamed)
        kept_copies = [_copy(node) for node in kept]
        del self.model.graph.node[:]
        self.model.graph.node.extend(kept_copies)
        self.tidy()

    def layer(self, name: str, made: Affine) -> None:
        positions = self.read.positions[name]
        node = self.nodes[positions[0]]
        if isinstance(made, Linear):
            self.constant(node, made) if name.startswith(CONSTANT) else self.linear(node, made)
            return
        dtype = self.dtype(node.input[3])
        mean, variance = (np.asarray(self.constants(entry), dtype=np.float64) for entry in node.input[3:5])
        spread = np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
        node.input[1] = self.store(node.input[1], (made.scale * spread).astype(dtype))
        node.input[2] = self.store(node.input[2], (made.shift + made.scale * mean).astype(dtype))

    def linear(self, node: NodeProto, made: Linear) -> None:
        dtype = self.dtype(node.input[1])
        weight, bias = made.weight.astype(dtype), made.bias.astype(dtype)
        if node.op_type == "MatMul":  # it takes no bias
            node.op_type = "Gemm"
        if node.op_type == "Gemm":
            from onnx import helper

            del node.attribute[:]
            node.attribute.append(helper.make_attribute("transB", 1))
        node.input[1] = self.store(node.input[1], weight)
        while len(node.input) < 3:
            node.input.append("")
        node.input[2] = self.store(node.input[2] or f"{node.output[0]}_bias", bias)

    def constant(self, node: NodeProto, made: Linear) -> None:
        input_index = next(i for i, name in enumerate(node.input) if not self.constants.depends(name))
        rank = max(len(dims) for dims in self.shapes_of(node))
        bias = made.bias.astype(self.dtype(node.input[input_index])).reshape(1, -1, *[1] * (rank - 2))
        node.input[input_index] = self.store(node.input[input_index], bias)

    def shapes_of(self, node: NodeProto) -> list[tuple[Any, ...]]:
        shapes = shapes_of(self.model)
        return [shapes[name] for name in (*node.input, *node.output) if name in shapes]

    def dtype(self, name: str) -> np.dtype[Any]:
        value = self.constants(name)
        assert value is not None
        return value.dtype

    def store(self, near: str, value: np.ndarray[Any, Any]) -> str:
        """A new initialiser with a name of its own."""
        name = f"{near}_folded"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        self.model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def tidy(self) -> None:
        """Drop what nothing reads any more: operators on constants, stored tensors, notes on values."""
        graph = self.model.graph
        outputs = {value.name for value in graph.output}
        while True:
            read = outputs | {name for node in graph.node for name in read_by(node)}
            idle = [node for node in graph.node if not read.intersection(node.output)]
            if not idle:
                break
            for node in idle:
                graph.node.remove(node)
        stored = {tensor.name for tensor in graph.initializer}
        for held in (graph.initializer, graph.input):
            for entry in [entry for entry in held if entry.name in stored and entry.name not in read]:
                held.remove(entry)
        if self.model.ir_version < 4:  # there, each stored tensor is an input too
            self.declare()
        alive = {name for node in graph.node for name in node.output}
        for value in [value for value in graph.value_info if value.name not in alive]:
            graph.value_info.remove(value)

    def declare(self) -> None:
        graph = self.model.graph
        known = {value.name for value in graph.input}
        for tensor in graph.initializer:
            if tensor.name not in known:
                graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))


def _identity(source: str, output: str) -> NodeProto:
    return helper.make_node("Identity", [source], [output], name=f"{output}_identity")


def _rename(node: NodeProto, renamed: dict[str, str]) -> None:
    for index, name in enumerate(node.input):
        while name in renamed:
            name = renamed[name]
        node.input[index] = name
    for entry in node.attribute:
        for graph in (*entry.graphs, *([entry.g] if entry.HasField("g") else [])):
            for inner in graph.node:
                _rename(inner, renamed)


def _copy(node: NodeProto) -> NodeProto:
    made = onnx.NodeProto()
    made.CopyFrom(node)
    return made

"""Operators with weights as layers and BatchNorms; False where an operator is none, or its weights are no constants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import NodeProto

from bench.batch_norm_folding.formulas import Affine, Diagonal, Linear, after, batch_norm
from bench.batch_norm_folding.onnx_files.constants import attributes
from bench.batch_norm_folding.onnx_files.wiring import read_by
from bench.batch_norm_folding.structure import FoldingNode, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.batch_norm_folding.onnx_files.draft import Draft


def convolution(draft: Draft, index: int, node: NodeProto) -> bool:
    """The rule of ``Conv`` and ``ConvTranspose``."""
    settings, transposed = attributes(node), node.op_type == "ConvTranspose"
    weight = draft.constants(node.input[1])
    given = len(node.input) > 2 and bool(node.input[2])
    bias = draft.constants(node.input[2]) if given else None
    if weight is None or (given and bias is None):
        return False
    groups = settings.get("group", 1)
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    held = np.zeros(outputs) if bias is None else bias.astype(np.float64)
    mode = settings.get("auto_pad", b"NOTSET").decode()
    padded = mode.startswith("SAME") or (mode == "NOTSET" and any(settings.get("pads", ())))
    made = Linear(weight.astype(np.float64), held, groups, transposed)
    return draft.layer(index, node, made, padded or transposed)


def gemm(draft: Draft, index: int, node: NodeProto) -> bool:
    """``Gemm`` with its factors worked into the weights."""
    settings = attributes(node)
    weight = draft.constants(node.input[1])
    given = len(node.input) > 2 and bool(node.input[2])
    bias = draft.constants(node.input[2]) if given else None
    if weight is None or (given and bias is None) or settings.get("transA", 0):
        return False
    made = (weight if settings.get("transB", 0) else weight.T).astype(np.float64) * settings.get("alpha", 1.0)
    held = np.zeros(1) if bias is None else bias.astype(np.float64) * settings.get("beta", 1.0)
    if held.size not in (1, len(made)) or (held.ndim > 1 and held.shape[-1] != held.size):
        return False
    return draft.layer(index, node, Linear(made, np.broadcast_to(held.reshape(-1), len(made)).copy()), False)


def matmul(draft: Draft, index: int, node: NodeProto) -> bool:
    """``MatMul`` of features with a constant matrix."""
    weight = draft.constants(node.input[1])
    if weight is None or weight.ndim != 2 or len(draft.shapes.get(node.input[0], ())) != 2:
        return False
    return draft.layer(index, node, Linear(weight.T.astype(np.float64), np.zeros(weight.shape[1])), False)


def batch_normalisation(draft: Draft, index: int, node: NodeProto) -> set[int]:
    """Add a BatchNorm; answers the positions of the operators that are one with it."""
    name, settings = draft.names[index], attributes(node)
    values = [draft.constants(entry) for entry in node.input[1:5]]
    reason = ""
    if any(value is None for value in values):
        reason = "its statistics or weights are no constants"
    elif settings.get("training_mode", 0) or (draft.opset < 7 and not settings.get("is_test", 0)):
        reason = "it is in training mode"
    elif not settings.get("spatial", 1):
        reason = "it has statistics for each position"
    if reason:
        draft.made.unseen[name] = reason
        draft.append(index, node, Role.BARRIER)
        return set()
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    made: Affine = batch_norm(arrays[0], arrays[1], arrays[2], arrays[3], settings.get("epsilon", 1e-5))
    positions, output = [index], node.output[0]
    for further, following in _scale_layer(draft, output):
        value = draft.per_channel(following, output, len(arrays[0]))
        if value is None:
            break
        ones, zeros = np.ones_like(value), np.zeros_like(value)
        made = after(made, value, zeros) if following.op_type == "Mul" else after(made, ones, value)
        positions.append(further)
        output = following.output[0]
    assert isinstance(made, Diagonal)
    label = f"{name} (BatchNormalization)"
    draft.nodes.append(FoldingNode(name, Role.NORM, (node.input[0],), (output,), label))
    draft.made.weights[name], draft.made.positions[name] = made, tuple(positions)
    draft.channels[output] = len(arrays[0])
    draft.channels.setdefault(node.input[0], len(arrays[0]))
    return set(positions[1:])


def _scale_layer(draft: Draft, value: str) -> Iterator[tuple[int, NodeProto]]:
    """The multiplication, then the addition that alone read a BatchNorm's output."""
    for kind in ("Mul", "Add"):
        if draft.readers[value] != 1 or value in draft.outputs:
            return
        index = next(i for i, node in enumerate(draft.model.graph.node) if value in read_by(node))
        node = draft.model.graph.node[index]
        if node.op_type == kind:
            yield index, node
            value = node.output[0]

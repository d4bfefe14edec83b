"""Reads an ONNX file as a folding graph."""

from __future__ import annotations

from collections.abc import Callable

from onnx import ModelProto, NodeProto

from bench.batch_norm_folding.onnx_files import layers, operations
from bench.batch_norm_folding.onnx_files.draft import Draft, OnnxFoldingGraph
from bench.batch_norm_folding.onnx_files.wiring import outputs_of
from bench.batch_norm_folding.structure import FoldingGraph, Role

SIZES = ("Shape", "Size")  # read of a value only what no map of channels changes
HANDLERS: dict[str, Callable[[Draft, int, NodeProto], bool]] = {
    "Conv": layers.convolution,
    "ConvTranspose": layers.convolution,
    "Gemm": layers.gemm,
    "MatMul": layers.matmul,
    "Add": operations.add,
    "Sum": operations.add,
    "Concat": operations.concatenation,
    "AveragePool": operations.average,
    "GlobalAveragePool": operations.same,
    "ReduceMean": operations.mean,
    "Pad": operations.pad,
    "Identity": operations.same,
    "Dropout": operations.dropout,
    "Flatten": operations.reshape,
    "Reshape": operations.reshape,
    "Squeeze": operations.reshape,
}


def read_file(model: ModelProto) -> OnnxFoldingGraph:
    """The folding graph of a float ONNX file, operator by operator."""
    draft = Draft(model)
    taken: set[int] = set()
    for index, node in enumerate(model.graph.node):
        made_here = any(draft.constants.depends(name) for name in outputs_of(node))
        if index not in taken and node.op_type not in SIZES and made_here:
            taken |= _operator(draft, index, node)
    draft.made.graph = FoldingGraph(tuple(draft.nodes), draft.channels, draft.outputs)
    return draft.made


def _operator(draft: Draft, index: int, node: NodeProto) -> set[int]:
    """Add what an operator is; answers the positions of further operators that it includes."""
    kind = node.op_type if node.domain in ("", "ai.onnx") else ""
    if kind == "BatchNormalization":
        return layers.batch_normalisation(draft, index, node)
    handler = HANDLERS.get(kind)
    if handler is None or not handler(draft, index, node):
        draft.append(index, node, Role.BARRIER)
    return set()

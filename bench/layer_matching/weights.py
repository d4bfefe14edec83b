"""Finds the value of a graph that holds a layer's weights."""

from __future__ import annotations

from typing import NamedTuple

from onnx import helper

from bench.layer_matching.layers import COMPUTING, LayerGraph


class WeightValue(NamedTuple):
    """The names of values that do not depend on the input, and whether inputs come first in the weights."""

    name: str
    transposed: bool
    bias: str | None  # empty where there is none, None where it is not known


def weight_value(graph: LayerGraph, position: int) -> WeightValue | None:
    """The real weights of an ungrouped convolution or of a linear layer; None for anything else."""
    nodes = (node for node in graph.model.graph.node if node.output and graph.owner.get(node.output[0]) == position)
    node = next((node for node in nodes if node.op_type in COMPUTING), None)
    if node is None or len(node.input) < 2 or node.input[1] in graph.owner:
        return None
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    bias = node.input[2] if len(node.input) > 2 else ""
    if bias in graph.owner or attributes.get("beta", 1.0) != 1.0 or attributes.get("alpha", 1.0) != 1.0:
        return None
    if node.op_type in {"Conv", "FusedConv"} and attributes.get("group", 1) == 1:
        return WeightValue(node.input[1], False, bias)
    if node.op_type in {"Gemm", "FusedGemm"} and not attributes.get("transA"):
        return WeightValue(node.input[1], not attributes.get("transB"), bias)
    return WeightValue(node.input[1], True, None) if node.op_type == "MatMul" else None

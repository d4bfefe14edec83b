"""All nodes and stored tensors of an ONNX model, those of subgraphs and local functions too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import onnx


def nodes_of(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of subgraphs and local functions too."""
    waiting: list[Iterable[Any]] = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            yield node
            for attribute in node.attribute:
                waiting += [graph.node for graph in (*attribute.graphs, attribute.g)]


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every stored tensor: initialisers and constants, those of subgraphs and local functions too."""
    yield from _initialisers(model.graph)
    for attributes in (
        *(node.attribute for node in nodes_of(model)),
        *(function.attribute_proto for function in model.functions),
    ):
        for attribute in attributes:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            single = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for sparse in (*attribute.sparse_tensors, *single):
                yield from (sparse.values, sparse.indices)
            for graph in (*attribute.graphs, attribute.g):
                yield from _initialisers(graph)


def _initialisers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)

"""Reads nodes in an order that can run, attributes and initialisers from protobuf, and refuses what is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper

from bench.errors import UserError
from bench.onnx_import.table import Entry, OnnxNode
from bench.onnx_import.values import Value, from_proto


@dataclass(frozen=True, eq=False)
class ExecutionStep:
    """A node, its handler, and the values that nobody needs after it."""

    node: OnnxNode
    entry: Entry
    frees: tuple[str, ...] = ()
    captures: tuple[str, ...] | None = None  # for a node with graphs of its own: what they may read from outside


@dataclass(frozen=True, eq=False)
class ExecutableGraph:
    """The graph that a module executes: inputs without initialisers, outputs, constants, steps in order."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Value]  # initialisers, and what depends on them alone
    steps: tuple[ExecutionStep, ...]
    folded: tuple[ExecutionStep, ...] = ()  # the steps that made constants, in order
    input_types: Mapping[str, int] = field(default_factory=dict)  # ONNX element types as declared; 0 where they are not


def initialisers(graph: GraphProto) -> dict[str, Value]:
    """The tensors that the graph holds, by name."""
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise UserError.at("onnx", f"initialiser {name!r} is sparse", "store it dense")
    return {tensor.name: from_proto(tensor) for tensor in graph.initializer}


def ordered(graph: GraphProto, known: frozenset[str] | set[str]) -> list[NodeProto]:
    """The nodes in an order in which every input is there before it is used; the file's own where that will do."""
    makers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in makers or name in known:
                raise UserError.at("onnx", f"two nodes make {name!r}", "export it anew")
            makers[name] = index
    needs = [needed(node) - known - {""} for node in graph.node]
    waits = [{makers.get(name, -1) for name in names} for names in needs]
    users: dict[int, list[int]] = {}
    for index, sources in enumerate(waits):
        for source in sources:
            users.setdefault(source, []).append(index)
    ready = [index for index, sources in enumerate(waits) if not sources]
    heapify(ready)
    order = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for user in users.get(index, ()):
            waits[user].discard(index)
            if not waits[user]:
                heappush(ready, user)
    if len(order) < len(graph.node):
        raise _stuck(graph, needs, makers, set(order))
    return [graph.node[index] for index in order]


def _stuck(graph: GraphProto, needs: list[set[str]], makers: Mapping[str, int], done: set[int]) -> UserError:
    """Why the rest of the nodes cannot run: what nobody makes comes before a cycle."""
    left = [index for index in range(len(needs)) if index not in done]
    orphans = [(index, name) for index in left for name in sorted(needs[index]) if name not in makers]
    if orphans:
        index, lacking = orphans[0]
        why = "no node, input or initialiser makes it"
    else:
        index = left[0]
        lacking = next(name for name in sorted(needs[index]) if makers[name] not in done)
        why = "a cycle leads to it"
    node = graph.node[index]
    name = f"node {node.name or node.op_type!r} ({node.op_type})"
    return UserError.at("onnx", f"{name} needs {lacking!r}, and {why}", "export it anew")


def needed(node: NodeProto) -> set[str]:
    """The names a node reads; what its branches read from outside counts too."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (*attribute.graphs, attribute.g):
            inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            inside |= {name for inner in graph.node for name in inner.output}
            for inner in graph.node:
                names |= needed(inner) - inside
            names |= {value.name for value in graph.output} - inside
    return names - {""}


def plain_attribute(entry: AttributeProto) -> Any:
    """An attribute that is no graph, as a Python value or a tensor.

    Raises:
        ValueError: it refers to a function's, or is of no known type.
    """
    if entry.ref_attr_name:
        raise ValueError(f"attribute {entry.name!r} refers to a function's outside one")
    if entry.type in (AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS):
        raise ValueError(f"attribute {entry.name!r} is sparse")
    value = helper.get_attribute_value(entry)
    if entry.type == AttributeProto.TENSOR:
        assert isinstance(value, TensorProto)
        return from_proto(value)
    if entry.type == AttributeProto.STRING:
        return value.decode("utf-8", "replace")
    if entry.type == AttributeProto.STRINGS:
        return [text.decode("utf-8", "replace") for text in value]
    scalar = (AttributeProto.FLOAT, AttributeProto.INT)
    return value if entry.type in scalar else list(value)

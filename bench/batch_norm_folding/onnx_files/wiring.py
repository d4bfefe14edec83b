"""The values that each operator of an ONNX graph reads and makes, and its name."""

from __future__ import annotations

from collections import Counter

from onnx import ModelProto, NodeProto


def outputs_of(node: NodeProto) -> list[str]:
    """The values that an operator makes."""
    return [name for name in node.output if name]


def read_by(node: NodeProto) -> list[str]:
    """The values that an operator reads, in its subgraphs too."""
    names = list(node.input)
    for entry in node.attribute:
        for graph in (*entry.graphs, *([entry.g] if entry.HasField("g") else [])):
            names += [name for inner in graph.node for name in read_by(inner)]
            names += [value.name for value in graph.output]
    return names


def names_of(model: ModelProto) -> list[str]:
    """A name for each operator: its own where that is given and unique, else the value it makes."""
    own = Counter(node.name for node in model.graph.node)
    return [
        node.name if node.name and own[node.name] == 1 else (outputs_of(node) or ["?"])[0] for node in model.graph.node
    ]

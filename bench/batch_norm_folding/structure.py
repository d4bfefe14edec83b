"""The graph of a network as folding sees it: affine layers, operations that pass maps of channels on, and barriers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property


class Role(Enum):
    """The role of a node for a map of channels ``y = s x + t`` on a value."""

    LAYER = "layer"  # convolution, linear layer, added constant: takes a map over
    NORM = "norm"  # BatchNorm: takes a map over, and is what may go
    ADD = "add"  # a sum: one scale for all its values, shifts add up
    CONCAT = "concat"  # along channels
    PASS = "pass"  # average, flattening, identity: hands a map on
    BARRIER = "barrier"  # everything else


@dataclass(frozen=True)
class FoldingNode:
    """One operation; values are named, and their channels lie along axis 1.

    ``label`` is how a report calls it; ``zero_padded``: zeros stand around its input, which no shift may change;
    ``repeat``: how many neighbouring outputs a channel becomes (flattening).
    """

    name: str
    role: Role
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    label: str
    zero_padded: bool = False
    repeat: int = 1


@dataclass(frozen=True)
class FoldingGraph:
    """Nodes in the order they run; how many channels each value has; which values leave the network."""

    nodes: tuple[FoldingNode, ...]
    channels: dict[str, int]
    outputs: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def producer(self) -> dict[str, FoldingNode]:
        """The node that makes a value; the network's input has none."""
        return {value: node for node in self.nodes for value in node.outputs}

    @cached_property
    def consumers(self) -> dict[str, tuple[FoldingNode, ...]]:
        """The nodes that read a value."""
        readers: dict[str, list[FoldingNode]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                readers.setdefault(value, []).append(node)
        return {value: tuple(nodes) for value, nodes in readers.items()}

    @cached_property
    def by_name(self) -> dict[str, FoldingNode]:
        """The node of a name."""
        return {node.name: node for node in self.nodes}

    def norms(self) -> Iterable[FoldingNode]:
        """The BatchNorms, in the order they run."""
        return (node for node in self.nodes if node.role is Role.NORM)

    def without(self, norm: str) -> FoldingGraph:
        """The graph in which a BatchNorm only hands its input on."""
        nodes = tuple(replace(n, role=Role.PASS) if n.name == norm else n for n in self.nodes)
        return FoldingGraph(nodes, self.channels, self.outputs)

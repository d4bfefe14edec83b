"""Whether a BatchNorm can be folded: the fixed point of the layers before and behind it, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.batch_norm_folding.structure import FoldingGraph, FoldingNode, Role

Direction = Literal["backward", "forward"]
Channels = NDArray[np.int64]


class Obstacle(Exception):
    """Why a BatchNorm cannot be folded; the message is part of a sentence."""


@dataclass(frozen=True)
class Reach:
    """The values that a fold changes, and the nodes that take the change over.

    ``source[value][c]``: the BatchNorm's channel whose map acts on channel c of a value, -1 for none. ``roots`` make
    such values, ``leaves`` read them; both without the BatchNorm itself.
    """

    norm: FoldingNode
    direction: Direction
    source: dict[str, Channels]
    roots: tuple[FoldingNode, ...]
    leaves: tuple[FoldingNode, ...]

    @property
    def pinned(self) -> str:
        """The value that must carry the BatchNorm's own map: its input (backward) or its output (forward)."""
        return self.norm.inputs[0] if self.direction == "backward" else self.norm.outputs[0]


def reach(graph: FoldingGraph, norm: str, direction: Direction, *, across_concatenation: bool = True) -> Reach:
    """Follow the BatchNorm's map to every value that it has to act on, until nothing is added.

    Backward, the values that the BatchNorm reads are to carry its map already: everything that makes one of them (a
    root) applies the map, everything else that reads one (a leaf) undoes it. Forward, the values that it makes are to
    carry the BatchNorm's input instead: their readers apply the map, their other makers undo it. Sums, concatenations
    and averages hand the map to their other values, which brings in further roots and leaves. The fold exists only if
    every end is a layer that is affine on the side that it is reached from, and the BatchNorm is not reached from its
    own other side.

    Args:
        graph: the network.
        norm: name of a BatchNorm.
        direction: which side of it.
        across_concatenation: False stops at every concatenation, as published counts do.

    Raises:
        Obstacle: the map reaches something that cannot take it over.

    After Yvinec et al., arXiv:2203.14646; per channel, since a concatenation gives a leaf some channels of a root.
    """
    walk = _Walk(graph, graph.by_name[norm], direction, across_concatenation)
    walk.run()
    return Reach(walk.norm, direction, walk.source, tuple(walk.roots.values()), tuple(walk.leaves.values()))


class _Walk:
    def __init__(
        self, graph: FoldingGraph, norm: FoldingNode, direction: Direction, across_concatenation: bool
    ) -> None:
        self.graph, self.norm, self.across = graph, norm, across_concatenation
        self.start = norm.inputs[0] if direction == "backward" else norm.outputs[0]
        self.backward = direction == "backward"
        self.source: dict[str, Channels] = {}
        self.waiting: list[str] = []
        self.roots: dict[str, FoldingNode] = {}
        self.leaves: dict[str, FoldingNode] = {}

    def run(self) -> None:
        self.mark(self.start, np.arange(self.graph.channels[self.start]))
        while self.waiting:
            value = self.waiting.pop(0)
            self.visit_producer(value)
            for node in self.graph.consumers.get(value, ()):
                self.visit_consumer(value, node)
            if value in self.graph.outputs:
                raise Obstacle("the network's output would change")

    def mark(self, value: str, source: Channels) -> None:
        """Let the map act on further channels of a value."""
        before = self.source.get(value)
        if before is None:
            if value not in self.graph.channels:
                raise Obstacle(f"the channels of {value} are not known")
            before = np.full(self.graph.channels[value], -1, dtype=np.int64)
        merged = _merged(before, source, value)
        if value not in self.source or (merged != before).any():
            self.source[value] = merged
            self.waiting.append(value)

    def visit_producer(self, value: str) -> None:
        node = self.graph.producer.get(value)
        if node is None:
            raise Obstacle("the network's input would have to change")
        if node.name == self.norm.name:
            if self.backward:
                raise Obstacle("its own output comes back to its input")
            return
        if node.role is Role.BARRIER:
            raise Obstacle(f"{node.label} makes what would have to change")
        if node.role in (Role.LAYER, Role.NORM):
            self.roots[node.name] = node
            return
        self.spread(node, value)

    def visit_consumer(self, value: str, node: FoldingNode) -> None:
        if node.name == self.norm.name:
            if not self.backward:
                raise Obstacle("its own output comes back to its input")
            return
        if node.role is Role.BARRIER:
            raise Obstacle(f"{node.label} reads what would change")
        if node.role in (Role.LAYER, Role.NORM):
            self.leaves[node.name] = node
            return
        self.spread(node, value)

    def spread(self, node: FoldingNode, value: str) -> None:
        """Hand the map of one value of a transparent node to its others."""
        source = self.source[value]
        if node.role is Role.CONCAT and not self.across:
            raise Obstacle(f"{node.label} is in the way")
        for output in node.outputs[:1]:
            if node.role is Role.CONCAT:
                self._spread_concat(node, output)
                continue
            for other in node.inputs:
                if value == output:
                    self.mark(other, _gathered(source, node))
            if value != output:
                self.mark(output, np.repeat(source, node.repeat))

    def _spread_concat(self, node: FoldingNode, output: str) -> None:
        whole = self.source.get(output, np.full(self.graph.channels[output], -1, dtype=np.int64)).copy()
        start = 0
        for other in node.inputs:
            end = start + self.graph.channels[other]
            mine = self.source.get(other)
            if mine is not None:
                whole[start:end] = _merged(whole[start:end], mine, other)
            start = end
        if (whole >= 0).any():
            self.mark(output, whole)
        start = 0
        for other in node.inputs:
            end = start + self.graph.channels[other]
            if (whole[start:end] >= 0).any():
                self.mark(other, whole[start:end])
            start = end


def _merged(before: Channels, added: Channels, value: str) -> Channels:
    """Both maps in one; -1 is a channel that neither touches."""
    both = (before >= 0) & (added >= 0)
    if (before[both] != added[both]).any():
        raise Obstacle(f"two of its channels meet in one channel of {value}")
    return np.where(added >= 0, added, before)


def _gathered(source: Channels, node: FoldingNode) -> Channels:
    """The map of a flattened value's features on the channels that they come from."""
    if node.repeat == 1:
        return source
    positions = source.reshape(-1, node.repeat)
    if (positions != positions[:, :1]).any():
        raise Obstacle(f"{node.label} makes several features of a channel, each with a map of its own")
    gathered: Channels = positions[:, 0]
    return gathered

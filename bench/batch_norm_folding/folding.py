"""Folding every BatchNorm of a graph that can be folded, one after the other, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.batch_norm_folding.condition import Direction, Obstacle, Reach, reach
from bench.batch_norm_folding.formulas import Affine, Diagonal, after, before, inverse
from bench.batch_norm_folding.shifts import Vector, shifts
from bench.batch_norm_folding.structure import FoldingGraph, FoldingNode

SMALLEST = 1e-6  # of a scale that has to be undone


@dataclass(frozen=True)
class FoldedBatchNorm:
    """A BatchNorm that was folded, the layers that took its map over, and those that now undo it."""

    batch_norm: str
    into: tuple[str, ...]
    direction: Direction = "backward"
    undone_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptBatchNorm:
    """A BatchNorm that was not folded, and why."""

    batch_norm: str
    reason: str


class FoldingResult(NamedTuple):
    """The folded and the kept BatchNorms, and the new weights of the layers that changed."""

    folded: tuple[FoldedBatchNorm, ...]
    kept: tuple[KeptBatchNorm, ...]
    changed: dict[str, Affine]


def fold_all(graph: FoldingGraph, weights: dict[str, Affine], *, across_concatenation: bool = True) -> FoldingResult:
    """Fold what can be folded: first every BatchNorm backward, in the order they run, then the others forward.

    Each fold acts on the graph that the ones before it left. Nothing is changed in place.

    Args:
        graph: the network.
        weights: every layer and BatchNorm of it by name, in float64.
        across_concatenation: False leaves every BatchNorm whose map would pass a concatenation.
    """
    current = dict(weights)
    folded: dict[str, FoldedBatchNorm] = {}
    obstacles: dict[str, list[str]] = {norm.name: [] for norm in graph.norms()}
    directions: tuple[Direction, ...] = ("backward", "forward")
    for direction in directions:
        for name in obstacles:
            if name in folded:
                continue
            try:
                reached = reach(graph, name, direction, across_concatenation=across_concatenation)
                changed = _change(graph, reached, current)
            except Obstacle as obstacle:
                obstacles[name].append(f"{direction}: {obstacle}")
                continue
            current |= changed
            graph = graph.without(name)
            folded[name] = _report(reached)
    kept = tuple(KeptBatchNorm(name, "; ".join(why)) for name, why in obstacles.items() if name not in folded)
    done = tuple(folded[name] for name in obstacles if name in folded)
    return FoldingResult(done, kept, {name: made for name, made in current.items() if made is not weights[name]})


def _report(reached: Reach) -> FoldedBatchNorm:
    roots, leaves = (tuple(node.name for node in nodes) for nodes in (reached.roots, reached.leaves))
    into, undone = (roots, leaves) if reached.direction == "backward" else (leaves, roots)
    return FoldedBatchNorm(reached.norm.name, into, reached.direction, undone)


def _change(graph: FoldingGraph, reached: Reach, weights: dict[str, Affine]) -> dict[str, Affine]:
    """The new weights of roots and leaves.

    Raises:
        Obstacle: a shift meets zero padding, or a scale is too small to be undone.
    """
    norm = weights[reached.norm.name]
    assert isinstance(norm, Diagonal)
    moved = shifts(graph, reached, norm.shift)
    backward = reached.direction == "backward"
    changed: dict[str, Affine] = {}

    def take(node: FoldingNode, value: str, undo: bool, side_after: bool) -> None:
        source = reached.source[value]
        scale: Vector = np.where(source >= 0, norm.scale[source], 1.0)
        shift = moved[value]
        if undo:
            if (np.abs(scale) < SMALLEST).any():
                raise Obstacle(f"one of its scales is zero, which {node.label} could not undo")
            scale, shift = inverse(scale, shift)
        layer = changed.get(node.name, weights[node.name])
        changed[node.name] = after(layer, scale, shift) if side_after else before(layer, scale, shift)

    for node in reached.roots:
        take(node, node.outputs[0], not backward, True)
    for node in reached.leaves:
        take(node, node.inputs[0], backward, False)
    return changed

"""Inputs at which two networks are far apart: a lower bound of the largest distance."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Quantise
from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.regions import Ball, Box, Region, enclosing_box
from bench.functional.lipschitz.relaxations.intervals import interval_bounds
from bench.stats.streams import generator

Float = NDArray[np.float64]
STREAM = "lipschitz.difference"  # label of its random numbers
SNAPS, EDGE = 3, 1 - 1e-6
DOWN = 1 - 1e-12


def farthest(
    whole: Graph, region: Region, norm: Norm = "l2", *, words: tuple[str | int, ...] = (0,), starts: int = 8,
    steps: int = 40,
) -> tuple[float, Float]:  # fmt: skip
    """A lower bound of ``sup ‖d(x)‖`` over a region, and the input it was found at.

    Projected gradient ascent: steps along the sign of the gradient in a box, along the gradient in a ball, that shrink
    from a quarter of the region to nothing. It begins at the centre and at points drawn in the region. Through what
    rounds the gradient passes as through its clamp; values are those of the real function. Where the input is rounded
    itself, inputs then go to the edges of their cells, by the gradient of what is not. What decides is an interval
    of d at the input itself, rounded outward: its least distance from 0 is certain.

    Args:
        whole: the joint graph, d = f − g.
        region: where inputs lie.
        norm: of the outputs.
        words: seed of the starts, such as a number and a sample's id.
        starts: how many points climb.
        steps: of each.

    >>> from bench.canonical_form.nodes import Dense, Input
    >>> node = Dense(name="", inputs=(0,), shape=(1, 1), weight=torch.tensor([[3.0, -4.0]]).double())
    >>> graph = Graph((Input(name="input", shape=(1, 2)), node))
    >>> found, at = farthest(graph, Box(np.zeros(2), np.ones(2)))
    >>> round(found, 9), at.tolist()
    (4.0, [0.0, 1.0])
    """
    x = _starts(region, whole.nodes[0].size, words, starts)
    grids = [node for node in whole.nodes if isinstance(node, Quantise) and node.inputs == (0,)]
    best, at = torch.full((starts,), -1.0, dtype=torch.float64), x
    for step in range(steps + 1):
        distance, gradient = _climbing(whole, x, norm, hard=False)
        best, at = _farther(best, at, distance, x)
        x = _moved(region, x, gradient, 0.5 * (1 - step / max(steps, 1)))
    for grid in grids * SNAPS:
        _, gradient = _climbing(whole, at, norm, hard=True)
        x = _moved(region, _snapped(grid, at, gradient), gradient, 0.0)
        best, at = _farther(best, at, _climbing(whole, x, norm, hard=True)[0], x)
    certain = [_certain(whole, point, norm) for point in at.numpy()]
    first = int(np.argmax(certain))
    return certain[first], at[first].numpy()


def _climbing(whole: Graph, x: Tensor, norm: Norm, *, hard: bool) -> tuple[Tensor, Tensor]:
    """``‖d(x)‖`` of each row and its gradient; 0 where d does not depend on x."""
    x = x.clone().requires_grad_()
    order = 2.0 if norm == "l2" else torch.inf
    distance = torch.linalg.vector_norm(_values(whole, x, hard=hard).flatten(1), ord=order, dim=1)
    if not distance.requires_grad:
        return distance, torch.zeros_like(x)
    (gradient,) = torch.autograd.grad(distance.sum(), x)
    return distance.detach(), gradient


def _farther(best: Tensor, at: Tensor, distance: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    better = distance > best
    return torch.where(better, distance, best), torch.where(better[:, None], x, at)


def change_from_middle(whole: Graph, region: Region, at: Float, r: float) -> float:
    """A lower bound of how fast d changes between two points of a region at least r apart (l2): a true quotient.

    ``‖d(x) − d(m)‖ / ‖x − m‖`` with m the middle of the region; 0 where x is nearer to it than r.

    Args:
        whole: the joint graph, d = f − g.
        region: where both points lie.
        at: x, (inputs,).
        r: least distance.

    >>> from bench.canonical_form.nodes import Dense, Input
    >>> node = Dense(name="", inputs=(0,), shape=(1, 1), weight=torch.tensor([[3.0, -4.0]]).double())
    >>> graph = Graph((Input(name="input", shape=(1, 2)), node))
    >>> round(change_from_middle(graph, Box(-np.ones(2), np.ones(2)), np.array([3.0, -4.0]) / 5, 0.5), 6)
    5.0
    """
    box = enclosing_box(region)
    middle = (np.asarray(box.low) + np.asarray(box.high)) / 2
    apart = float(np.linalg.norm(at - middle))
    if apart < r:
        return 0.0
    both = torch.from_numpy(np.stack([at, middle])).reshape(2, *whole.nodes[0].shape)
    with torch.no_grad():
        first, second = whole(both).flatten(1).numpy()
    doubt = 1e-9 * (np.abs(first).max() + np.abs(second).max()) * len(first) ** 0.5
    return max(0.0, float(np.linalg.norm(first - second) - doubt)) / (apart * (1 + 1e-12))


def _starts(region: Region, size: int, words: tuple[str | int, ...], starts: int) -> Tensor:
    """The centre, and points drawn in the region: (starts, size)."""
    drawn = np.stack([generator(STREAM, *words, number).uniform(-1.0, 1.0, size) for number in range(starts)])
    drawn[0] = 0.0
    if isinstance(region, Ball):
        length = np.linalg.norm(drawn, axis=1, keepdims=True)
        return torch.from_numpy(region.centre + region.radius * DOWN * drawn / np.maximum(length, 1e-300))
    low, high = region
    return torch.from_numpy(np.clip((low + high) / 2 + (high - low) / 2 * drawn, low, high))


def _moved(region: Region, x: Tensor, gradient: Tensor, size: float) -> Tensor:
    """A step within the region, of so much of its width."""
    if isinstance(region, Ball):
        centre = torch.from_numpy(region.centre)
        there = x + 2 * size * region.radius * gradient / gradient.norm(dim=1, keepdim=True).clamp(min=1e-300) - centre
        length = there.norm(dim=1, keepdim=True)
        within: Tensor = centre + there * (region.radius * DOWN / length.clamp(min=max(region.radius, 1e-300)))
        return within
    low, high = (torch.from_numpy(np.asarray(end)) for end in region)
    return (x + size * (high - low) * gradient.sign()).clamp(min=low, max=high)


def _snapped(node: Quantise, x: Tensor, gradient: Tensor) -> Tensor:
    """Inputs moved to the edges of their cells in a grid of the input, where what is not rounded gains most."""
    centre, half = node(x.reshape(len(x), *node.shape)).reshape(x.shape), node.scale / 2
    half = torch.broadcast_to(half, node.shape).flatten()
    return centre + half * EDGE * gradient.sign()


def _values(graph: Graph, x: Tensor, *, hard: bool) -> Tensor:
    """The graph's own values (m, *shape); gradients pass what rounds as they pass its clamp, or not at all."""
    values = [x.reshape(len(x), *graph.nodes[0].shape)]
    for node in graph.nodes[1:]:
        given = [values[k] for k in node.inputs]
        value = node(*given)
        if isinstance(node, Quantise) and not hard:
            through = node.surrogate(*given)
            value = through + (value - through).detach()
        values.append(value)
    return values[-1]


def _certain(graph: Graph, point: Float, norm: Norm) -> float:
    """What is certain of ``‖d(point)‖``, rounding included."""
    low, high = interval_bounds(graph, Box(point, point))[-1]
    least = torch.maximum(low, -high).clamp(min=0.0)
    return float(least.norm() if norm == "l2" else least.max()) * DOWN

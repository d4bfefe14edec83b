"""Inputs at which two networks are far apart: a lower bound of the largest distance."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.difference.aligned import ROUNDS
from bench.functional.lipschitz.regions import Ball, Box, Region
from bench.functional.lipschitz.relaxations.intervals import interval_bounds
from bench.stats.streams import generator

Float = NDArray[np.float64]
STREAM = "lipschitz.difference"  # label of its random numbers
DOWN = 1 - 1e-12


def farthest(
    whole: Graph, region: Region, norm: Norm = "l2", *, words: tuple[str | int, ...] = (0,), starts: int = 8,
    steps: int = 40,
) -> tuple[float, Float]:  # fmt: skip
    """A lower bound of ``sup ‖d(x)‖`` over a region, and the input it was found at.

    Projected gradient ascent: steps along the sign of the gradient in a box, along the gradient in a ball, that shrink
    from a quarter of the region to nothing. It begins at the centre and at points drawn in the region. Through what
    rounds the gradient passes as through its clamp; values are those of the real function. What decides is an interval
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
    best, at = torch.full((starts,), -1.0, dtype=torch.float64), x.clone()
    order = 2.0 if norm == "l2" else torch.inf
    for step in range(steps + 1):
        x.requires_grad_()
        distance = torch.linalg.vector_norm(_values(whole, x).flatten(1), ord=order, dim=1)
        better = distance.detach() > best
        best, at = torch.where(better, distance.detach(), best), torch.where(better[:, None], x.detach(), at)
        if step == steps or not distance.requires_grad:
            break
        (gradient,) = torch.autograd.grad(distance.sum(), x)
        x = _moved(region, x.detach(), gradient, 0.5 * (1 - step / steps))
    certain = [_certain(whole, point, norm) for point in at.numpy()]
    first = int(np.argmax(certain))
    return certain[first], at[first].numpy()


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


def _values(graph: Graph, x: Tensor) -> Tensor:
    """The graph's own values (m, *shape); gradients pass what rounds as they pass its clamp."""
    values = [x.reshape(len(x), *graph.nodes[0].shape)]
    for node in graph.nodes[1:]:
        given = [values[k] for k in node.inputs]
        value = node(*given)
        if type(node).__name__ == ROUNDS:
            through = node.surrogate(*given)  # type: ignore[attr-defined]
            value = through + (value - through).detach()
        values.append(value)
    return values[-1]


def _certain(graph: Graph, point: Float, norm: Norm) -> float:
    """What is certain of ``‖d(point)‖``, rounding included."""
    low, high = interval_bounds(graph, Box(point, point))[-1]
    least = torch.maximum(low, -high).clamp(min=0.0)
    return float(least.norm() if norm == "l2" else least.max()) * DOWN

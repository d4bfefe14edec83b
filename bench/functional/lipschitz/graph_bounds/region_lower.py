"""Lower bounds of a network's constant on a region: difference quotients of two of its points."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.functional.jacobian import output_jacobian
from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.chain_bounds.rounding import UNIT
from bench.functional.lipschitz.graph_bounds.lower import ROUNDING, STEP, TOGETHER, directions, quotients, unit
from bench.functional.lipschitz.regions import Ball, Float, Region, checked
from bench.stats.streams import generator

STARTS = 12  # points of the region
TURN = 0.2  # of a pair's direction in a step
FIRST, LAST = 0.5, 1e-3  # distance of a pair, relative to the region's size


def region_jacobian(graph: Graph, region: Region, norm: Norm = "l2", starts: int = STARTS) -> LipschitzBound:
    """The largest norm of the Jacobian at points within the region, the middle first: a lower bound of the constant.

    Of inputs that the region fixes the columns are left out. Points are drawn, so that none meets kinks exactly.

    Args:
        graph: a network.
        region: a ``Box`` or a ``Ball`` with more than one point.
        norm: of inputs and outputs alike.
        starts: how many points.
    """
    started, region = time.perf_counter(), checked(region, graph.nodes[0].size)
    points = _points(region, starts, "lipschitz.region-jacobian")
    free = torch.from_numpy(_size(region) > 0).double()
    order, largest = (2 if norm == "l2" else np.inf), 0.0
    for rows in torch.split(points, TOGETHER):
        jacobian = output_jacobian(lambda x: graph(x).flatten(1), _shaped(graph, rows)) * free
        largest = max(largest, float(np.linalg.norm(jacobian.numpy(), order, axis=(1, 2)).max()))
    seconds = time.perf_counter() - started
    return LipschitzBound("largest Jacobian", "lower", largest * (1 - 1e-9), norm, "region", 1e-9, seconds)


def region_secants(
    graph: Graph, region: Region, norm: Norm = "l2", starts: int = STARTS, steps: int = 40, budget: float = 60.0
) -> LipschitzBound:
    """The largest difference quotient of pairs of the region that climb: a lower bound of the constant there.

    As ``secant_lower``, every pair put back into the region; what rounding may have added is taken off.

    Args:
        graph: a network.
        region: a ``Box`` or a ``Ball`` with more than one point.
        norm: of inputs and outputs alike.
        starts: pairs.
        steps: of each ascent.
        budget: seconds after which no further step is taken.
    """
    started, region = time.perf_counter(), checked(region, graph.nodes[0].size)
    middle, largest = _points(region, starts, "lipschitz.region-secants"), 0.0
    size = torch.from_numpy(_size(region))
    reach = float(torch.linalg.vector_norm(size)) if not isinstance(region, Ball) else region.radius
    direction = directions(graph, _shaped(graph, middle)).reshape(middle.shape)
    for number in range(steps + 1):
        left = 1.0 - number / max(steps, 1)
        half = direction * reach * LAST * (FIRST / LAST) ** left
        pair = torch.stack([within(region, middle + half), within(region, middle - half)])
        shaped = torch.stack([_shaped(graph, part) for part in pair]).requires_grad_()
        quotient, certain = quotients(graph, shaped, norm)
        largest = max(largest, float(certain.max(initial=0.0)))
        if number == steps or time.perf_counter() - started > budget:
            break
        (gradient,) = torch.autograd.grad(torch.log(quotient + 1e-300).sum(), shaped)
        gradient = gradient.nan_to_num().reshape(2, *middle.shape)
        middle = within(region, middle + STEP * left * reach * unit(gradient.sum(dim=0)))
        direction = unit(direction + TURN * unit(gradient[0] - gradient[1]))
    return LipschitzBound("secants", "lower", largest, norm, "region", ROUNDING, time.perf_counter() - started)


def within(region: Region, x: Tensor) -> Tensor:
    """The nearest points of the region, x (n, size); of a ball those a little inside, beyond any rounding."""
    if not isinstance(region, Ball):
        return torch.minimum(torch.maximum(x, torch.from_numpy(region.low)), torch.from_numpy(region.high))
    centre = torch.from_numpy(region.centre)
    lost = 8 * UNIT * float(np.linalg.norm(region.centre)) * region.centre.size**0.5
    radius = max(0.0, region.radius * (1 - 1e-9) - lost)
    away = x - centre
    length = torch.linalg.vector_norm(away, dim=1, keepdim=True)
    found: Tensor = centre + away * (radius / length.clamp(min=1e-300)).clamp(max=1.0)
    return found


def _points(region: Region, count: int, label: str) -> Tensor:
    """Points of the region: near its middle, and anywhere."""
    random = generator(label, count)
    size = _size(region)
    share = random.uniform(-1, 1, (count, size.size))
    middle = region.centre if isinstance(region, Ball) else region.low / 2 + region.high / 2
    if isinstance(region, Ball):
        share = random.normal(size=share.shape)
        share *= random.random((count, 1)) ** (1 / size.size) / np.linalg.norm(share, axis=1, keepdims=True)
    share[: (count + 1) // 3] *= 1e-3
    return within(region, torch.from_numpy(middle + share * size))


def _size(region: Region) -> Float:
    """Half the width of the region along each input."""
    return np.full_like(region.centre, region.radius) if isinstance(region, Ball) else (region.high - region.low) / 2


def _shaped(graph: Graph, x: Tensor) -> Tensor:
    return x.reshape(len(x), *graph.nodes[0].shape)

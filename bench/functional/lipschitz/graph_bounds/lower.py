"""Lower bounds of a network's constant: difference quotients that two inputs really have."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.functional.jacobian import output_jacobian
from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.stats.streams import generator

TOGETHER = 16  # samples whose Jacobians are in memory at a time
BESIDE = 1e-6  # how far from a sample its Jacobian is taken, relative to the sample's size
ROUNDING = 1e-12  # of the largest output, for both outputs together: what float64 may add to their difference
FIRST, LAST = 0.3, 1e-3  # distance of a pair, relative to the sample's size
STEP, TURN = 0.1, 0.2  # of a pair's middle, relative to the sample's size; of its direction
STEPS = 100


def jacobian_lower(graph: Graph, samples: NDArray[Any], norm: Norm = "l2") -> LipschitzBound:
    """The largest norm of the Jacobian beside the samples, a lower bound: ``max_x ‖J(x)‖``.

    Where the network is differentiable in x, the constant is at least ``‖J(x)‖``. At a kink it is not: derivatives of
    several ReLUs at 0 need not belong to any side of all of them, and pixels of exactly 0 do meet kinks. So each sample
    is moved by a millionth of its size, in a direction drawn for it.

    Args:
        graph: a network.
        samples: (n, *shape).
        norm: of inputs and outputs alike: ``l2`` the largest singular value, ``linf`` the largest absolute row sum.
    """
    started, x = time.perf_counter(), _inputs(graph, samples)
    drawn = [generator("lipschitz.jacobian", number).normal(size=graph.nodes[0].shape) for number in range(len(x))]
    beside = x + BESIDE * _size(x) * unit(torch.from_numpy(np.stack(drawn)))
    order, largest = (2 if norm == "l2" else np.inf), 0.0
    for rows in torch.split(beside, TOGETHER):
        jacobian = output_jacobian(lambda x: graph(x).flatten(1), rows).numpy()
        largest = max(largest, float(np.linalg.norm(jacobian, order, axis=(1, 2)).max()))
    value = largest * (1 - 1e-9)
    seconds = time.perf_counter() - started
    return LipschitzBound("largest Jacobian", "lower", value, norm, f"{len(samples)} samples", 1e-9, seconds)


def secant_lower(
    graph: Graph, samples: NDArray[Any], norm: Norm = "l2", steps: int = STEPS, budget: float = 60.0
) -> LipschitzBound:
    """The largest difference quotient of pairs that begin at samples and climb, a lower bound.

    ``max ‖f(x) − f(y)‖ / ‖x − y‖`` by gradient ascent on the logarithm of the quotient in x and y together; the pair
    begins along the direction in which the sample's own Jacobian is largest. Every quotient seen is a lower bound,
    whatever the ascent does; what rounding may have added is taken off.

    Args:
        graph: a network.
        samples: (n, *shape), where pairs begin.
        norm: of inputs and outputs alike.
        steps: of each ascent.
        budget: seconds after which no further step is taken.
    """
    started = time.perf_counter()
    middle = _inputs(graph, samples)
    size = _size(middle)
    direction = directions(graph, middle)
    largest = 0.0
    for number in range(steps + 1):
        left = 1.0 - number / max(steps, 1)  # pairs begin wide, so that kinks on the way count, and end close
        half = size * LAST * (FIRST / LAST) ** left / 2
        pair = torch.stack([middle + half * direction, middle - half * direction]).requires_grad_()
        quotient, certain = quotients(graph, pair, norm)
        largest = max(largest, float(certain.max(initial=0.0)))
        if number == steps or time.perf_counter() - started > budget:
            break
        (gradient,) = torch.autograd.grad(torch.log(quotient + 1e-300).sum(), pair)
        middle = middle + STEP * left * size * unit(gradient.sum(dim=0))
        direction = unit(direction + TURN * unit(gradient[0] - gradient[1]))
    seconds = time.perf_counter() - started
    return LipschitzBound("secants", "lower", largest, norm, "global", ROUNDING, seconds)


def _inputs(graph: Graph, samples: NDArray[Any]) -> Tensor:
    """Samples as the graph takes them, (n, *shape) in float64."""
    return torch.as_tensor(np.asarray(samples, dtype=np.float64)).reshape(len(samples), *graph.nodes[0].shape)


def _lengths(x: Tensor) -> Tensor:
    """The l2 norm of each row, (n, 1, ...)."""
    lengths: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return lengths.reshape(-1, *[1] * (x.ndim - 1))


def _size(x: Tensor) -> Tensor:
    """The length of each row, at least 1: what steps are relative to."""
    return _lengths(x).clamp(min=1.0)


def unit(x: Tensor) -> Tensor:
    """Rows of length 1; a row of zeros stays one."""
    return torch.div(x, _lengths(x).clamp(min=1e-300))


def quotients(graph: Graph, pair: Tensor, norm: Norm) -> tuple[Tensor, NDArray[np.float64]]:
    """Difference quotients (n,), and what of each is certain."""
    f, g = graph(pair[0]).flatten(1), graph(pair[1]).flatten(1)
    order = 2 if norm == "l2" else torch.inf
    above = torch.linalg.vector_norm(f - g, ord=order, dim=1)
    below = torch.linalg.vector_norm((pair[0] - pair[1]).flatten(1), ord=order, dim=1)
    doubt = ROUNDING * torch.maximum(f.abs().amax(dim=1), g.abs().amax(dim=1)) * (f.shape[1] ** 0.5)
    certain = ((above - doubt) / (below * (1 + 1e-12)).clamp(min=1e-300)).detach().numpy()
    return above / below.clamp(min=1e-300), np.where(below.detach().numpy() > 0, certain, 0.0)


def directions(graph: Graph, x: Tensor) -> Tensor:
    """Unit directions (n, *shape) near those in which each sample's Jacobian is largest, by three power steps."""
    v = even = unit(torch.ones_like(x))
    for _ in range(3):
        own = x.detach().requires_grad_()
        out = graph(own)
        u = torch.zeros_like(out, requires_grad=True)
        (back,) = torch.autograd.grad(out, own, u, create_graph=True)  # Jᵀu, linear in u: its derivative is J
        (w,) = torch.autograd.grad(back, u, v, retain_graph=True)
        (v,) = torch.autograd.grad(out, own, w)
        v = torch.where(_lengths(v) > 0, unit(v), even)
    return v.detach()

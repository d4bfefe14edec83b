"""Lower bounds of a network's constant: difference quotients that two inputs really have."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.stats.streams import generator

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
    started, largest = time.perf_counter(), 0.0
    for number, row in enumerate(samples):
        x = _sample(graph, row)
        away = torch.from_numpy(generator("lipschitz.jacobian", number).normal(size=tuple(x.shape)))
        jacobian = _jacobian(graph, x + BESIDE * max(1.0, float(x.norm())) * away / float(away.norm()))
        if norm == "linf":
            own = float(np.abs(jacobian).sum(axis=1).max())
        else:
            own = float(np.linalg.norm(jacobian, 2)) if jacobian.size else 0.0
        largest = max(largest, own)
    value = largest * (1 - 1e-9)
    seconds = time.perf_counter() - started
    return LipschitzBound("largest Jacobian", "lower", value, norm, f"{len(samples)} samples", 1e-9, seconds)


def secant_lower(
    graph: Graph, samples: NDArray[Any], norm: Norm = "l2", steps: int = STEPS, budget: float = 60.0,
    progress: Callable[[int, int], None] | None = None,
) -> LipschitzBound:  # fmt: skip
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
        progress: is called with how many of how many steps are done.
    """
    started = time.perf_counter()
    middle = torch.as_tensor(np.asarray(samples, dtype=np.float64)).reshape(len(samples), *graph.nodes[0].shape)
    wide = (-1, *[1] * (middle.ndim - 1))
    size = middle.flatten(1).norm(dim=1).clamp(min=1.0).reshape(wide)
    direction = _directions(graph, middle)
    largest = 0.0
    for number in range(steps + 1):
        left = 1.0 - number / max(steps, 1)  # pairs begin wide, so that kinks on the way count, and end close
        half = size * LAST * (FIRST / LAST) ** left / 2
        pair = torch.stack([middle + half * direction, middle - half * direction]).requires_grad_()
        quotient, certain = _quotients(graph, pair, norm)
        largest = max(largest, float(certain.max(initial=0.0)))
        if progress is not None:
            progress(number, steps)
        if number == steps or time.perf_counter() - started > budget:
            break
        (gradient,) = torch.autograd.grad(torch.log(quotient + 1e-300).sum(), pair)
        middle = middle + STEP * left * size * _unit(gradient.sum(dim=0), wide)
        direction = _unit(direction + TURN * _unit(gradient[0] - gradient[1], wide), wide)
    seconds = time.perf_counter() - started
    return LipschitzBound("secants", "lower", largest, norm, "global", ROUNDING, seconds)


def _unit(x: Tensor, wide: tuple[int, ...]) -> Tensor:
    return torch.div(x, x.flatten(1).norm(dim=1).clamp(min=1e-300).reshape(wide))


def _quotients(graph: Graph, pair: Tensor, norm: Norm) -> tuple[Tensor, NDArray[np.float64]]:
    """Difference quotients (n,), and what of each is certain."""
    f, g = graph(pair[0]).flatten(1), graph(pair[1]).flatten(1)
    order = 2 if norm == "l2" else torch.inf
    above = torch.linalg.vector_norm(f - g, ord=order, dim=1)
    below = torch.linalg.vector_norm((pair[0] - pair[1]).flatten(1), ord=order, dim=1)
    doubt = ROUNDING * torch.maximum(f.abs().amax(dim=1), g.abs().amax(dim=1)) * (f.shape[1] ** 0.5)
    certain = ((above - doubt) / (below * (1 + 1e-12)).clamp(min=1e-300)).detach().numpy()
    return above / below.clamp(min=1e-300), np.where(below.detach().numpy() > 0, certain, 0.0)


def _directions(graph: Graph, x: Tensor) -> Tensor:
    """Unit directions (n, *shape) near those in which each sample's Jacobian is largest, by three power steps."""
    ones = torch.ones_like(x)
    v = ones / ones.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
    for _ in range(3):
        own = x.detach().requires_grad_()
        out = graph(own)
        u = torch.zeros_like(out, requires_grad=True)
        (back,) = torch.autograd.grad(out, own, u, create_graph=True)  # Jᵀu, linear in u: its derivative is J
        (w,) = torch.autograd.grad(back, u, v, retain_graph=True)
        (v,) = torch.autograd.grad(out, own, w)
        length = v.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
        v = torch.where(length > 0, v / length.clamp(min=1e-300), ones / ones[0].numel() ** 0.5)
    return torch.as_tensor(v).detach()


def _jacobian(graph: Graph, x: Tensor) -> NDArray[np.float64]:
    """The Jacobian (outputs, inputs) at one sample (1, *shape)."""
    x = x.detach().requires_grad_()
    out = graph(x).flatten()
    if not out.requires_grad:
        return np.zeros((out.numel(), x.numel()))
    rows = [torch.autograd.grad(value, x, retain_graph=True)[0].flatten() for value in out]
    return torch.stack(rows).numpy()


def _sample(graph: Graph, row: NDArray[Any]) -> Tensor:
    return torch.as_tensor(np.asarray(row, dtype=np.float64)).reshape(1, *graph.nodes[0].shape)

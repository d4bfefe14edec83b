"""Pairs of inputs at a distance whose outputs of the real quantised network differ by much."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Quantise
from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.quantised_bounds.scale import pairs_apart
from bench.stats.streams import generator

Outputs = Callable[[NDArray[np.float32]], NDArray[Any]]
ROUNDING: Final = 1e-12  # of the largest output, for both outputs together: what float64 may add to their difference
SINGLE: Final = 1e-6  # the same of a network that answers in float32
BEYOND: Final = 1 + 1e-5  # how far beyond r a pair is put, so that it is r apart in float32 too
STEPS: Final = 60
TRIES: Final = 60  # of random changes of a pair, each kept where it is better
HALVINGS: Final = 60
STRETCHES: Final = (1.0, 1.001, 1.01)
WIDE, STEP, TURN, NEAR = 0.3, 0.1, 0.2, 0.5


def scale_secants(
    graph: Graph,
    samples: NDArray[Any],
    r: float,
    norm: Norm = "l2",
    outputs: Outputs | None = None,
    steps: int = STEPS,
    budget: float = 60.0,
) -> LipschitzBound:
    """The largest difference quotient of pairs at least r apart, a lower bound of the constant at scale r.

    Pairs of samples, and pairs that begin at samples, wide, and come down to r while they climb by straight-through
    gradients: forward what the quantised network answers, backward its surrogate. The best are halved until they are r
    apart: one half's quotient is never below that of the whole. There, where roundings count most, they are changed at
    random and keep what is better. Quotients are of the network itself: of the graph in float64 or, where ``outputs``
    is given, the best pair of each sample, in float32, as ``outputs`` answers it. What rounding of sums may have added
    is taken off.

    Args:
        graph: a network, quantisers included.
        samples: (n, *shape), where pairs begin.
        r: least distance, in the norm.
        norm: of inputs and outputs alike.
        outputs: answers of what really runs, (n, *shape) float32 to (n, classes).
        steps: of each ascent, and of random changes.
        budget: seconds after which no further step is taken.
    """
    started = time.perf_counter()
    middle = torch.as_tensor(np.asarray(samples, dtype=np.float64)).reshape(len(samples), *graph.nodes[0].shape)
    best = _Best(graph, norm, r, len(middle))
    best.look(torch.stack([middle, middle.roll(1, dims=0)]))  # from one sample to another
    _climb(graph, middle, best, steps, started + budget)
    _halve(best)
    _try(best, min(steps, TRIES), started + budget)
    value, note = float(best.quotients.max()), "answers of the graph in float64"
    if outputs is not None:
        value, note = _running(best, outputs, np.asarray(samples).shape), "answers of the network as it runs"
    seconds = time.perf_counter() - started
    return LipschitzBound(
        f"scale-r secants (r = {r:.6g})", "lower", value, norm, pairs_apart(r), ROUNDING, seconds, (), note, scale=r
    )  # fmt: skip


def straight_through(graph: Graph, x: Tensor) -> Tensor:
    """The network's values of x (m, *shape), with gradients of its surrogate."""
    values = [x]
    for node in graph.nodes[1:]:
        given = [values[k] for k in node.inputs]
        if isinstance(node, Quantise):
            smooth = node.surrogate(given[0])
            values.append(smooth + (node(given[0]) - smooth).detach())
        else:
            values.append(node(*given))
    return values[-1]


def _running(best: _Best, outputs: Outputs, shape: tuple[int, ...]) -> float:
    """The largest quotient of the best pairs in float32; stretched, where rounding brings one nearer than r."""
    largest, middle = 0.0, best.pairs.mean(dim=0)
    for stretch in STRETCHES:
        x, y = ((middle + stretch * (end - middle)).numpy().astype(np.float32).reshape(shape) for end in best.pairs)
        f, g = (np.asarray(outputs(each), dtype=np.float64).reshape(len(x), -1) for each in (x, y))
        found = _certain(f, g, x.astype(np.float64), y.astype(np.float64), best.norm, best.r, SINGLE)
        largest = max(largest, float(found.max()))
    return largest


class _Best:
    """The best pair of each sample so far; r apart at least."""

    def __init__(self, graph: Graph, norm: Norm, r: float, count: int) -> None:
        self.graph, self.norm, self.r = graph, norm, r
        self.least = r * BEYOND  # apart
        self.quotients: NDArray[np.float64] = np.zeros(count)
        self.pairs = torch.zeros(2, count, *graph.nodes[0].shape, dtype=torch.float64)

    def look(self, pair: Tensor) -> NDArray[np.float64]:
        """Answer pairs, and take what is better; their quotients."""
        with torch.no_grad():
            return self.see(pair, self.graph(pair.flatten(0, 1)))

    def see(self, pair: Tensor, out: Tensor) -> NDArray[np.float64]:
        """Take what is better of pairs (2, n, *shape) with their outputs; their quotients."""
        pair, rows = pair.detach(), out.detach().reshape(2, pair.shape[1], -1).numpy()
        ends = pair.flatten(2).numpy()
        found = _certain(rows[0], rows[1], ends[0], ends[1], self.norm, self.r, ROUNDING)
        better = found > self.quotients
        self.quotients[better] = found[better]
        self.pairs[:, torch.from_numpy(better)] = pair[:, torch.from_numpy(better)]
        return found


def _certain(f: Any, g: Any, x: Any, y: Any, norm: Norm, r: float, rounding: float) -> NDArray[np.float64]:
    """What of each difference quotient is certain; 0 of pairs that are nearer than r."""
    order = 2 if norm == "l2" else np.inf
    above = np.linalg.norm(f - g, order, axis=1)
    below = np.linalg.norm((x - y).reshape(len(x), -1), order, axis=1)
    doubt = rounding * np.maximum(np.abs(f).max(axis=1), np.abs(g).max(axis=1)) * np.sqrt(f.shape[1])
    quotients = (above - doubt) / np.maximum(below * (1 + 1e-12), 1e-300)
    return np.where(below >= r, np.maximum(quotients, 0.0), 0.0)


def _climb(graph: Graph, middle: Tensor, best: _Best, steps: int, until: float) -> None:
    """An ascent whose pairs begin wide and end r apart."""
    size = _length(middle, "l2").clamp(min=1.0)
    drawn = [generator("lipschitz.scale", k).normal(size=graph.nodes[0].shape) for k in range(len(middle))]
    direction = torch.from_numpy(np.stack(drawn))
    for number in range(steps + 1):
        left = 1.0 - number / max(steps, 1)
        widest = (WIDE * size / best.least).clamp(min=1.0)
        pair = _pair(middle, direction, best.least * widest**left, best.norm).requires_grad_()
        out = straight_through(graph, pair.flatten(0, 1)).reshape(2, len(middle), -1)
        best.see(pair, out)
        if number == steps or time.perf_counter() > until:
            break
        order = 2 if best.norm == "l2" else torch.inf
        above = torch.linalg.vector_norm(out[0] - out[1], ord=order, dim=1)
        below = _length(pair[0] - pair[1], best.norm).flatten()
        (gradient,) = torch.autograd.grad((torch.log(above + 1e-300) - torch.log(below + 1e-300)).sum(), pair)
        gradient = torch.nan_to_num(gradient)
        middle = middle + STEP * left * size * _unit(gradient.sum(dim=0))
        direction = _unit(direction) + TURN * _unit(gradient[0] - gradient[1])


def _halve(best: _Best) -> None:
    """Each best pair's better half, and the better half of that, until it is r apart."""
    pair = best.pairs.clone()
    for _ in range(HALVINGS):
        distance = _length(pair[0] - pair[1], best.norm)
        if not bool((distance >= 2 * best.least).any()):
            return
        middle = pair.mean(dim=0)
        halves = torch.stack([torch.stack([pair[0], middle]), torch.stack([middle, pair[1]])])  # which, end, n
        found = [best.look(half) for half in halves]
        second = _wide(found[1] > found[0], middle)
        pair = torch.where(distance >= 2 * best.least, torch.where(second, halves[1], halves[0]), pair)


def _try(best: _Best, tries: int, until: float) -> None:
    """Random changes of the best pairs, r apart: steps of the scale of roundings."""
    for number in range(tries):
        if time.perf_counter() > until:
            return
        count, shape = best.pairs.shape[1], best.pairs.shape[2:]
        drawn = [generator("lipschitz.scale", k, number).normal(size=(2, *shape)) for k in range(count)]
        moves = torch.from_numpy(np.stack(drawn, axis=1))
        far = NEAR * 0.5 ** (number % 4)
        middle = best.pairs.mean(dim=0) + far * best.least * _unit(moves[0])
        direction = _unit(best.pairs[0] - best.pairs[1]) + far * _unit(moves[1])
        longer = 1.0 + 0.5 * (number % 2) * generator("lipschitz.scale", "length", number).uniform()
        best.look(_pair(middle, direction, torch.full_like(middle, best.least * longer), best.norm))


def _wide(rows: NDArray[np.bool_], like: Tensor) -> Tensor:
    return torch.from_numpy(rows).reshape(-1, *[1] * (like.ndim - 1))


def _pair(middle: Tensor, direction: Tensor, distance: Tensor, norm: Norm) -> Tensor:
    """Pairs (2, n, *shape) at a distance, to both sides of their middles."""
    half = distance / 2 * direction / _length(direction, norm).clamp(min=1e-300)
    return torch.stack([middle + half, middle - half]).detach()


def _length(x: Tensor, norm: Norm) -> Tensor:
    """The norm of each row, (n, 1, ...)."""
    order = 2 if norm == "l2" else torch.inf
    lengths: Tensor = torch.linalg.vector_norm(x.flatten(1), ord=order, dim=1)
    return lengths.reshape(-1, *[1] * (x.ndim - 1))


def _unit(x: Tensor) -> Tensor:
    return torch.div(x, _length(x, "l2").clamp(min=1e-300))

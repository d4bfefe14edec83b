"""Every entry of the Jacobian between ends, backwards through the network."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Gather, Input, Linear, MaxPool, Node
from bench.errors import NotApplicable
from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.chain_bounds.rounding import row_sum_norm, spectral_norm
from bench.functional.lipschitz.relaxations.activation_slopes import slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.magnitudes import magnitude, pulled_back
from bench.functional.lipschitz.relaxations.windows import winners
from bench.stats.blas_threads import one_thread

MOST = 4096  # outputs
SLACK = 5e-7  # relative, far beyond the rounding of sums of float64


class Rows(NamedTuple):
    """Rows of Jacobians: each entry within ``radius`` of ``centre``, (m, *shape) both."""

    centre: Tensor
    radius: Tensor

    def plus(self, other: Rows | None) -> Rows:
        """Sums of two."""
        return self if other is None else Rows(self.centre + other.centre, self.radius + other.radius)


def interval_jacobian(graph: Graph, ends: list[Ends]) -> tuple[Tensor, Tensor]:
    """Middle and half width of every entry of the Jacobian on a region: (outputs, inputs) both.

    For any two points of the region ``f(x) − f(y) = M (x − y)`` with M between the ends: an activation multiplies by a
    slope that it has between what stands before it at the two, max pooling by weights of entries that can win. Interval
    products go backwards from the output (Fast-Lip, arXiv 1804.09699, with slopes of any sign and on any graph).

    Raises:
        NotApplicable: a node has no rule, or there are more than 4,096 outputs.
    """
    nodes = graph.nodes
    m = nodes[-1].size
    if m > MOST:
        raise NotApplicable(f"{m} outputs; the Jacobian is written out for up to {MOST}")
    start = torch.eye(m, dtype=torch.float64).reshape(m, *nodes[-1].shape)
    passing: dict[int, Rows] = {len(nodes) - 1: Rows(start, torch.zeros_like(start))}
    with torch.no_grad():
        for place in range(len(nodes) - 1, 0, -1):
            own = passing.pop(place, None)
            if own is None:
                continue
            node = nodes[place]
            shapes = [nodes[k].shape for k in node.inputs]
            for k, part in zip(node.inputs, _pulled(node, own, shapes, ends), strict=True):
                if part is not None:
                    passing[k] = part.plus(passing.get(k))
    zero = torch.zeros(m, nodes[0].size, dtype=torch.float64)
    found = passing.get(0, Rows(zero, zero))
    return found.centre.reshape(m, -1), found.radius.reshape(m, -1)


def jacobian_bound(graph: Graph, ends: list[Ends], norm: Norm = "l2") -> LipschitzBound:
    """An upper bound of the constant on a region by the ends of each entry of the Jacobian.

    ``‖M‖₂ ≤ ‖centre‖₂ + ‖radius‖₂``, and at most the norm of the largest magnitudes; in l_inf the largest row sum of
    these, which no matrix within the ends exceeds.

    Args:
        graph: a network.
        ends: of every node's value on the region, from ``relaxations``.
        norm: of inputs and outputs alike.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> from bench.functional.lipschitz.regions import Box
    >>> from bench.functional.lipschitz.relaxations.intervals import interval_bounds
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.LeakyReLU(0.5)).eval()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> graph = canonical_form(network, torch.zeros(1, 2))
    >>> ends = interval_bounds(graph, Box(np.full(2, -1.0), np.ones(2)))
    >>> [round(jacobian_bound(graph, ends, norm).value, 5) for norm in ("l2", "linf")]
    [5.0, 7.0]
    """
    started = time.perf_counter()
    centre, radius = (part.numpy() for part in interval_jacobian(graph, ends))
    if not (np.isfinite(centre).all() and np.isfinite(radius).all()):
        raise NotApplicable("an entry of the Jacobian is not bounded")
    largest = np.abs(centre) + radius
    with one_thread():
        if norm == "linf":
            value = row_sum_norm(largest)
        else:
            value = min(spectral_norm(centre) + spectral_norm(radius), spectral_norm(largest))
    seconds = time.perf_counter() - started
    return LipschitzBound("interval Jacobian", "certified", value * (1 + SLACK), norm, "region", SLACK, seconds)


def _pulled(node: Node, rows: Rows, shapes: list[tuple[int, ...]], ends: list[Ends]) -> list[Rows | None]:
    """Rows over a node's value as rows over its inputs."""
    if isinstance(node, Linear):
        centres = pulled_back(node, rows.centre, shapes)
        radii = pulled_back(magnitude(node), rows.radius, shapes)
        return [
            None if centre is None or radius is None else Rows(centre, radius)
            for centre, radius in zip(centres, radii, strict=True)
        ]
    if isinstance(node, Activation):
        alpha, beta = (slope.reshape(node.shape) for slope in slopes_on(node, ends[node.inputs[0]]))
        return [_times(rows, (alpha + beta) / 2, (beta - alpha) / 2)]
    if isinstance(node, MaxPool):
        return [_unpooled(node, rows, shapes[0], ends[node.inputs[0]])]
    assert not isinstance(node, Input)
    raise NotApplicable(f"{node.name}: {type(node).__name__} has no rule for an interval of its Jacobian")


def _times(rows: Rows, middle: Tensor, half: Tensor) -> Rows:
    """``[c ± r] [m ± h]`` within ``c m ± (|c| h + r |m| + r h)``."""
    return Rows(rows.centre * middle, rows.centre.abs() * half + rows.radius * (middle.abs() + half))


def _unpooled(node: MaxPool, rows: Rows, shape: tuple[int, ...], ends: Ends) -> Rows:
    """The entry that surely wins takes all; elsewhere each that can win takes a share between 0 and 1."""
    seen = winners(node, shape, ends)
    sure = seen.selection(node, seen.fixed)
    centre, radius = (pulled_back(sure, part, [shape])[0] for part in rows)
    assert centre is not None
    assert radius is not None
    for tap in range(seen.places.shape[1]):
        open_ = seen.candidate[:, tap] & ~seen.fixed
        if not bool(open_.any()):
            continue
        own = Gather(
            name=node.name, inputs=node.inputs, shape=node.shape, index=torch.where(open_, seen.places[:, tap], 0)
        )
        half = torch.full(node.shape, 0.5, dtype=torch.float64)
        shared = _times(rows, half, half)
        more, wider = (pulled_back(own, part, [shape])[0] for part in shared)
        assert more is not None
        assert wider is not None
        centre, radius = centre + more, radius + wider
    return Rows(centre, radius)

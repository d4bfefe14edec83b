"""All methods on one network: which of them apply, and what each says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.errors import MissingExtra, NotApplicable
from bench.functional.lipschitz.certificate import LipschitzBound, Norm, enclosing
from bench.functional.lipschitz.chain import DenseChain
from bench.functional.lipschitz.chain_bounds import liplt as chain_liplt
from bench.functional.lipschitz.chain_bounds import product as chain_product
from bench.functional.lipschitz.chain_bounds.absolute_product import absolute_product
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.chain_bounds.lipsdp_neuron import lipsdp_neuron
from bench.functional.lipschitz.chain_bounds.local import local_chain
from bench.functional.lipschitz.chain_bounds.lower import secant
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain
from bench.functional.lipschitz.graph_bounds.liplt import liplt, product
from bench.functional.lipschitz.graph_bounds.lower import jacobian_lower, secant_lower
from bench.functional.lipschitz.regions import Box


@dataclass(frozen=True, eq=False)
class Asked:
    """What every method is given."""

    graph: Graph
    samples: NDArray[Any]
    norm: Norm
    budget: float  # seconds, of methods that can stop early
    limits: tuple[float, float] | None = None  # of each input, where the bound is of that box alone

    @cached_property
    def chain(self) -> DenseChain:
        """The network as a chain of dense layers; on a box with the slopes that occur there."""
        found = dense_chain(self.graph)
        try:
            return found if self.box is None else local_chain(found, self.box)
        except ValueError as error:  # an activation through which no interval is known
            raise NotApplicable(str(error)) from error

    @cached_property
    def box(self) -> Box | None:
        """The box that both points lie in; None: anywhere."""
        size = self.graph.nodes[0].size
        return None if self.limits is None else Box(*(np.full(size, float(end)) for end in self.limits))


class Method(NamedTuple):
    """A method: how it is asked, the norms it knows, and whether it is asked where none is named."""

    ask: Callable[[Asked], LipschitzBound]
    norms: tuple[Norm, ...] = ("l2",)
    by_default: bool = True


def _product(asked: Asked) -> LipschitzBound:
    return product(asked.graph, asked.norm) if asked.box is None else chain_product.product(asked.chain, asked.norm)


def _liplt(asked: Asked) -> LipschitzBound:
    everywhere = asked.norm == "l2" and asked.box is None
    return liplt(asked.graph) if everywhere else chain_liplt.liplt(asked.chain, asked.norm)


def _secants(asked: Asked) -> LipschitzBound:
    if asked.box is None:
        return secant_lower(asked.graph, asked.samples, asked.norm, budget=asked.budget)
    try:
        return secant(dense_chain(asked.graph), asked.norm, box=asked.box)
    except ValueError as error:
        raise NotApplicable(str(error)) from error


BOTH: tuple[Norm, ...] = ("l2", "linf")
METHODS: dict[str, Method] = {
    "product": Method(_product, BOTH),
    "liplt": Method(_liplt, BOTH),
    "absolute-product": Method(lambda asked: absolute_product(asked.chain, asked.norm), BOTH),
    "eclipse-fast": Method(lambda asked: eclipse_fast(asked.chain)),
    "full-diagonal": Method(lambda asked: full_diagonal(asked.chain, budget=asked.budget)),
    "lipsdp-neuron": Method(lambda asked: lipsdp_neuron(asked.chain, time_limit=asked.budget), by_default=False),
    "jacobian": Method(lambda asked: jacobian_lower(asked.graph, asked.samples, asked.norm), BOTH),
    "secants": Method(_secants, BOTH),
}
"""Certified bounds first, then those from below."""


class Skipped(NamedTuple):
    """A method that does not apply to the network, and why."""

    method: str
    reason: str


def lipschitz_bounds(
    graph: Graph,
    samples: NDArray[Any] | None = None,
    *,
    norm: Norm = "l2",
    methods: Sequence[str] = (),
    budget: float = 60.0,
    limits: tuple[float, float] | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[LipschitzBound], list[Skipped]]:
    """Every bound of one network's constant, by each method that applies to it.

    Args:
        graph: a network in canonical form.
        samples: (n, *shape) at which bounds from below begin; by default normal random inputs.
        norm: of inputs and outputs alike.
        methods: names of ``METHODS``; by default all but ``lipsdp-neuron``, which needs the extra ``sdp``.
        budget: seconds for each method that can stop early.
        limits: of each input; bounds are then of the box between them, for chains alone.
        progress: is called with the name of the method that begins.

    Returns:
        The bounds, and the methods that do not apply with their reasons.

    Raises:
        ValueError: a method that there is not.
        AssertionError: a lower bound exceeds a certified one, which no network can bring about.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False)).eval()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> bounds, _ = lipschitz_bounds(canonical_form(network, torch.zeros(1, 2)), methods=["product", "jacobian"])
    >>> [(bound.method, round(bound.value, 6)) for bound in bounds]
    [('product', 5.0), ('jacobian', 5.0)]
    """
    chosen = list(methods) or [name for name, method in METHODS.items() if method.by_default]
    if unknown := [name for name in chosen if name not in METHODS]:
        raise ValueError(f"{unknown[0]!r} is no method; there are {', '.join(METHODS)}")
    if samples is None:
        samples = np.random.default_rng(0).normal(size=(16, *graph.nodes[0].shape[1:]))
    asked = Asked(graph, samples, norm, budget, limits)
    domain = "global" if limits is None else f"box [{limits[0]:g}, {limits[1]:g}]"
    bounds, skipped = [], []
    for name in chosen:
        if norm not in METHODS[name].norms:
            skipped.append(Skipped(name, "l2 only"))
            continue
        if progress is not None:
            progress(name)
        started = time.perf_counter()
        try:
            found = METHODS[name].ask(asked)
            own = domain if found.domain in ("global", "box") else found.domain
            bounds.append(replace(found, method=name, domain=own, seconds=time.perf_counter() - started))
        except (NotApplicable, MissingExtra) as error:
            skipped.append(Skipped(name, str(error)))
    enclosing(bounds)
    return bounds, skipped

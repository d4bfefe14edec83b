"""All methods on one network: which of them apply, and what each says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
from bench.functional.lipschitz.chain_bounds.lower import secant
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain, local_dense_chain
from bench.functional.lipschitz.graph_bounds.interval_jacobian import jacobian_bound
from bench.functional.lipschitz.graph_bounds.liplt import liplt, product
from bench.functional.lipschitz.graph_bounds.local_liplt import local_liplt, local_product
from bench.functional.lipschitz.graph_bounds.lower import jacobian_lower, secant_lower
from bench.functional.lipschitz.graph_bounds.node_norms import NodeNorms
from bench.functional.lipschitz.graph_bounds.region_lower import region_jacobian, region_secants
from bench.functional.lipschitz.regions import Ball, Box, Region, checked
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.linear import linear_bounds

NO_LESS = "no less on the region: what holds everywhere"


@dataclass(frozen=True, eq=False)
class Asked:
    """What every method is given."""

    graph: Graph
    samples: NDArray[Any]
    norm: Norm
    budget: float  # seconds, of methods that can stop early
    region: Region | None = None  # where both points lie; None: anywhere
    base: Asked | None = None  # what is asked without a region, shared by all regions
    known: dict[Any, LipschitzBound | None] = field(default_factory=dict)  # what methods have said without one

    @cached_property
    def whole(self) -> DenseChain:
        """The network as a chain of dense layers."""
        return dense_chain(self.graph) if self.base is None else self.base.whole

    @cached_property
    def chain(self) -> DenseChain:
        """The chain; on a region with the slopes that occur there, without neurons that are off."""
        return self.whole if self.region is None else local_dense_chain(self.whole, self.graph, self.ends)

    @cached_property
    def ends(self) -> list[Ends]:
        """The interval of every node's value on the region."""
        assert self.region is not None
        return linear_bounds(self.graph, self.region)

    @cached_property
    def norms(self) -> NodeNorms:
        """Norms of linear nodes, each found once."""
        return NodeNorms(self.graph, self.norm) if self.base is None else self.base.norms

    def everywhere(self, ask: Callable[[Asked], LipschitzBound]) -> LipschitzBound | None:
        """What a method says without a region, asked once; None where it does not apply."""
        assert self.base is not None
        if ask not in self.base.known:
            try:
                self.base.known[ask] = ask(self.base)
            except NotApplicable:
                self.base.known[ask] = None
        return self.base.known[ask]


class Method(NamedTuple):
    """A method: how it is asked, the norms it knows, and whether it is asked where none is named."""

    ask: Callable[[Asked], LipschitzBound]
    norms: tuple[Norm, ...] = ("l2",)
    by_default: bool = True
    regions_alone: bool = False


def _at_most_global(ask: Callable[[Asked], LipschitzBound]) -> Callable[[Asked], LipschitzBound]:
    """On a region the smaller of the local bound and the method's own that holds everywhere."""

    def least(asked: Asked) -> LipschitzBound:
        found = ask(asked)
        if asked.region is None:
            return found
        other = asked.everywhere(ask)
        if other is None or found.value <= other.value:
            return found
        return replace(other, note="; ".join(filter(None, (NO_LESS, other.note))))

    return least


def _product(asked: Asked) -> LipschitzBound:
    if asked.region is None:
        return product(asked.graph, asked.norm)
    found = local_product(asked.graph, asked.ends, asked.norm, asked.norms)
    try:
        return min(found, chain_product.product(asked.chain, asked.norm), key=lambda bound: bound.value)
    except NotApplicable:
        return found


def _liplt(asked: Asked) -> LipschitzBound:
    if asked.region is not None:
        return local_liplt(asked.graph, asked.ends, asked.norm, asked.norms)
    return liplt(asked.graph) if asked.norm == "l2" else chain_liplt.liplt(asked.chain, asked.norm)


def _interval_jacobian(asked: Asked) -> LipschitzBound:
    if asked.region is None:
        raise NotApplicable("of a box or a ball alone")
    return jacobian_bound(asked.graph, asked.ends, asked.norm)


def _jacobian(asked: Asked) -> LipschitzBound:
    if asked.region is None:
        return jacobian_lower(asked.graph, asked.samples, asked.norm)
    return region_jacobian(asked.graph, asked.region, asked.norm)


def _secants(asked: Asked) -> LipschitzBound:
    if asked.region is None:
        return secant_lower(asked.graph, asked.samples, asked.norm, budget=asked.budget)
    found = region_secants(asked.graph, asked.region, asked.norm, budget=asked.budget)
    if not isinstance(asked.region, Box):
        return found
    try:
        return max(found, secant(asked.whole, asked.norm, box=asked.region), key=lambda bound: bound.value)
    except (NotApplicable, ValueError):  # no chain, or an activation that chains do not evaluate
        return found


BOTH: tuple[Norm, ...] = ("l2", "linf")
METHODS: dict[str, Method] = {
    "product": Method(_product, BOTH),
    "liplt": Method(_at_most_global(_liplt), BOTH),
    "interval-jacobian": Method(_interval_jacobian, BOTH, regions_alone=True),
    "absolute-product": Method(_at_most_global(lambda asked: absolute_product(asked.chain, asked.norm)), BOTH),
    "eclipse-fast": Method(_at_most_global(lambda asked: eclipse_fast(asked.chain))),
    "full-diagonal": Method(_at_most_global(lambda asked: full_diagonal(asked.chain, budget=asked.budget))),
    "lipsdp-neuron": Method(
        _at_most_global(lambda asked: lipsdp_neuron(asked.chain, time_limit=asked.budget)), by_default=False
    ),
    "jacobian": Method(_jacobian, BOTH),
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
    region: Region | Sequence[Region] | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[LipschitzBound], list[Skipped]]:
    """Every bound of one network's constant, by each method that applies to it.

    Args:
        graph: a network in canonical form.
        samples: (n, *shape) at which bounds from below begin; by default normal random inputs.
        norm: of inputs and outputs alike.
        methods: names of ``METHODS``; by default all but ``lipsdp-neuron``, which needs the extra ``sdp``.
        budget: seconds for each method that can stop early.
        limits: of each input; bounds are then of the box between them.
        region: a ``Box`` or a ``Ball`` that both points lie in; certified bounds are the smaller of what holds there
            and what the same method says everywhere. Of several regions, the largest over them.
        progress: is called with the name of the method that begins.

    Returns:
        The bounds, and the methods that do not apply with their reasons.

    Raises:
        ValueError: a method that there is not, or a region that does not fit the network.
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
    size = graph.nodes[0].size
    if limits is not None:
        region = Box(*(np.full(size, float(end)) for end in limits))
    regions = [] if region is None else [region] if isinstance(region, Box | Ball) else list(region)
    chosen = list(methods) or [
        name for name, method in METHODS.items() if method.by_default and (regions or not method.regions_alone)
    ]
    if unknown := [name for name in chosen if name not in METHODS]:
        raise ValueError(f"{unknown[0]!r} is no method; there are {', '.join(METHODS)}")
    if samples is None:
        samples = np.random.default_rng(0).normal(size=(16, *graph.nodes[0].shape[1:]))
    base = Asked(graph, samples, norm, budget)
    asked = [replace(base, region=checked(each, size), base=base) for each in regions] or [base]
    domain = _domain(regions, limits)
    bounds, skipped = [], []
    for name in chosen:
        if norm not in METHODS[name].norms:
            skipped.append(Skipped(name, "l2 only"))
            continue
        if progress is not None:
            progress(name)
        started = time.perf_counter()
        try:
            found = max((METHODS[name].ask(each) for each in asked), key=lambda bound: bound.value)
            own = domain if found.domain in ("global", "box", "region") else found.domain
            bounds.append(replace(found, method=name, domain=own, seconds=time.perf_counter() - started))
        except (NotApplicable, MissingExtra) as error:
            skipped.append(Skipped(name, str(error)))
    enclosing(bounds)
    return bounds, skipped


def _domain(regions: Sequence[Region], limits: tuple[float, float] | None) -> str:
    if not regions:
        return "global"
    if limits is not None:
        return f"box [{limits[0]:g}, {limits[1]:g}]"
    first, several = regions[0], len(regions) > 1
    if not isinstance(first, Ball):
        return f"{len(regions)} boxes" if several else "box"
    return f"{len(regions)} balls of radius {first.radius:g}" if several else f"ball of radius {first.radius:g}"

"""Intervals of the difference itself, carried through two networks of one structure side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Linear, MaxPool, Quantise
from bench.errors import NotApplicable
from bench.functional.lipschitz.chain_bounds.rounding import UNIT
from bench.functional.lipschitz.difference.aligned import Step, aligned, change
from bench.functional.lipschitz.difference.interval_sums import apart, minus, plus, without_constant
from bench.functional.lipschitz.relaxations.activation_slopes import Slopes, slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import interval


def delta_intervals(f: Graph, g: Graph, of_f: Sequence[Ends], of_g: Sequence[Ends]) -> Ends:
    """An interval of ``f(x) − g(x)``, entry by entry, for all x of the region that the ends belong to.

    Of a linear node ``z_f − z_g = W_g (a_f − a_g) + (W_f − W_g) a_f + (b_f − b_g)``, and the same with f and g in each
    other's places; of an activation ``a_f − a_g = s (z_f − z_g)``, s one of the slopes between z_f and z_g: of a ReLU
    whose two arguments never turn it off it is 1, whose two never turn it on 0. Of max pooling the difference lies
    between the least and the largest of the window's. At each node also within ``[low_f − high_g, high_f − low_g]``.

    Args:
        f: a network.
        g: another of the same layers; a quantiser may stand in one of them alone.
        of_f: ends of all values of f on the region.
        of_g: ends of all values of g there.

    Raises:
        NotApplicable: the layers differ in kind, order or shape.

    >>> from bench.canonical_form.nodes import Dense, Input
    >>> entry = Input(name="input", shape=(1, 1))
    >>> f, g = (
    ...     Graph((entry, Dense(name="", inputs=(0,), shape=(1, 1), weight=torch.tensor([[w]]).double())))
    ...     for w in (3.0, 1.0)
    ... )
    >>> x = Ends(torch.zeros(1).double(), torch.ones(1).double())
    >>> ends = delta_intervals(f, g, *([x, interval(graph, graph.nodes[1], [x])] for graph in (f, g)))
    >>> float(ends.low) > -1e-9, round(float(ends.high), 9)
    (True, 2.0)
    """
    return delta_ends(f, g, of_f, of_g)[len(f.nodes) - 1, len(g.nodes) - 1]


def delta_ends(f: Graph, g: Graph, of_f: Sequence[Ends], of_g: Sequence[Ends]) -> dict[tuple[int, int], Ends]:
    """The intervals of ``delta_intervals`` of all values that are compared, by their places in f and g."""
    zero = torch.zeros(f.nodes[0].size, dtype=torch.float64)
    known = {(0, 0): Ends(zero, zero)}
    for step in aligned(f, g)[1:]:
        if step.alone:
            found = _alone(f, g, step, of_f, of_g, known)
        else:
            first, second = f.nodes[step.f], g.nodes[step.g]
            given = [known[pair] for pair in zip(first.inputs, second.inputs, strict=True)]
            rule = _through_linear if isinstance(first, Linear) else _through
            found = rule(f, g, step, of_f, of_g, given)
        known[step.f, step.g] = found.meet(minus(of_f[step.f], of_g[step.g]))
    return known


def _through_linear(
    f: Graph, g: Graph, step: Step, of_f: Sequence[Ends], of_g: Sequence[Ends], given: list[Ends]
) -> Ends:
    first, second = f.nodes[step.f], g.nodes[step.g]
    assert isinstance(first, Linear)
    assert isinstance(second, Linear)
    changed, carried = change(first, second), interval(g, without_constant(second), given)
    if changed is None:
        return carried
    on_f, on_g = ([ends[k] for k in node.inputs] for node, ends in ((first, of_f), (second, of_g)))
    whole = plus(carried, interval(f, changed, on_f))
    return whole.meet(plus(interval(f, without_constant(first), given), interval(f, changed, on_g)))


def _through(f: Graph, g: Graph, step: Step, of_f: Sequence[Ends], of_g: Sequence[Ends], given: list[Ends]) -> Ends:
    node, before = f.nodes[step.f], f.nodes[step.f].inputs[0]
    if isinstance(node, MaxPool):
        low, high = (end.reshape(1, *f.nodes[before].shape) for end in given[0])
        return Ends(-node(-low).flatten(), node(high).flatten())
    if isinstance(node, Activation):
        slopes = slopes_of_both(node, of_f[before], of_g[g.nodes[step.g].inputs[0]])
        ends = torch.stack([slope * end for slope in slopes for end in given[0]])
        return apart(ends.amin(dim=0), ends.amax(dim=0))
    raise NotApplicable(f"{node.name}: no interval of differences is known through {type(node).__name__}")


def slopes_of_both(node: Activation, at_f: Ends, at_g: Ends) -> Slopes:
    """The slopes between two arguments that lie in an interval each."""
    return slopes_on(node, Ends(torch.minimum(at_f.low, at_g.low), torch.maximum(at_f.high, at_g.high)))


def _alone(
    f: Graph, g: Graph, step: Step, of_f: Sequence[Ends], of_g: Sequence[Ends], known: dict[tuple[int, int], Ends]
) -> Ends:
    """A quantiser of one network: what it moves is added to the difference before it."""
    graph, place, ends = (f, step.f, of_f) if step.alone == "f" else (g, step.g, of_g)
    node = graph.nodes[place]
    assert isinstance(node, Quantise)
    (before,) = node.inputs
    own = moved(node, ends[before])
    return plus(known[before, step.g], own) if step.alone == "f" else minus(known[step.f, before], own)


def moved(node: Quantise, given: Ends) -> Ends:
    """The interval of ``q(z) − z``: what clipping takes, and half a step of rounding."""
    low, high, half = (
        torch.broadcast_to(value, node.shape).flatten() for value in (node.low, node.high, node.scale / 2)
    )
    cut = [torch.clamp(end, low, high) - end for end in given]  # falls as z rises
    slack = half * (1 + 8 * UNIT) + 8 * UNIT * given.magnitude
    return apart(cut[1] - slack, cut[0] + slack)

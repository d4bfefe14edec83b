"""The difference as a sum over layers: each is changed in its turn, and what stands behind it carries the change on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Linear, Quantise
from bench.errors import NotApplicable
from bench.functional.lipschitz.difference.aligned import Step, aligned, change
from bench.functional.lipschitz.difference.delta_interval import moved
from bench.functional.lipschitz.difference.interval_sums import minus
from bench.functional.lipschitz.difference.tails import Tails
from bench.functional.lipschitz.difference.values import Values
from bench.functional.lipschitz.graph_bounds.composites import meeting
from bench.functional.lipschitz.graph_bounds.node_norms import NodeNorms
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import interval

Float = NDArray[np.float64]
UP = 1 + 1e-9


class Telescoped(NamedTuple):
    """Upper bounds of ``‖f − g‖₂`` and of ``|r · (f − g)|`` for each row r (m,)."""

    whole: float
    rows: Float


class _Change(NamedTuple):
    """What the change of one layer does to its value: its place in the tail's network, an interval, an l2 length."""

    place: int
    ends: Ends
    length: float


def telescoping(
    f: Values, g: Values, rows: Float, tails: Callable[[Graph, tuple[int, ...]], Tails] = Tails
) -> Telescoped:
    """Bounds of the difference of two networks of one structure, ``Σ_l Lip(tail behind l) · sup ‖δ_l‖``.

    ``δ_l = dW_l a_{l−1} + db_l`` is what the change of layer l alone does to its value, a the activations of one of
    the networks, and the tail is the other network behind it: between neighbours in the row of networks that begin as
    one and end as the other nothing else changes. Of a quantiser δ is what it moves its argument by; it must stand in
    the network whose activations are taken, since a tail that rounds has no constant. Both ways round where they
    apply, the lesser of each figure.

    Args:
        f: a network on a region.
        g: another one of the same layers on the same region.
        rows: (m, outputs), functions of the outputs that are bounded beside the whole.
        tails: makes the constants of a network's tails, behind these places; of one network they are made once.

    Raises:
        NotApplicable: the layers differ in kind, order or shape, or both networks round.

    >>> import torch
    >>> from bench.canonical_form.nodes import Dense, Input
    >>> from bench.functional.lipschitz.regions import Box
    >>> from bench.functional.lipschitz.relaxations.intervals import interval_bounds
    >>> entry = Input(name="input", shape=(1, 1))
    >>> box = Box(np.zeros(1), np.ones(1))
    >>> layers = (Dense(name="", inputs=(0,), shape=(1, 1), weight=torch.tensor([[w]]).double()) for w in (3.0, 1.0))
    >>> graphs = [Graph((entry, layer)) for layer in layers]
    >>> f, g = (Values(graph, box, interval_bounds(graph, box)) for graph in graphs)
    >>> round(telescoping(f, g, np.eye(1)).whole, 6)
    2.0
    """
    steps = aligned(f.graph, g.graph)
    turned = [Step(step.g, step.f, {"f": "g", "g": "f"}.get(step.alone, "")) for step in steps]
    found = [_one_way(*way, rows, tails) for way in ((f, g, steps), (g, f, turned)) if not _rounds(way[1].graph)]
    if not found:
        raise NotApplicable("both networks round activations, and a tail that rounds has no Lipschitz constant")
    return Telescoped(min(each.whole for each in found), np.minimum.reduce([each.rows for each in found]))


def _rounds(graph: Graph) -> bool:
    return any(isinstance(node, Quantise) for node in graph.nodes)


def _one_way(
    values: Values,
    behind: Values,
    steps: Sequence[Step],
    rows: Float,
    tails: Callable[[Graph, tuple[int, ...]], Tails],
) -> Telescoped:
    """With the activations of the first network, f of the steps, and the tails of the second."""
    tail = behind.graph
    _every_user_sees_it(values.graph, tail, steps)
    changes = [found for step in steps[1:] if (found := _change(values, tail, step)) is not None]
    known = tails(tail, tuple(change.place for change in changes))
    whole, each = 0.0, np.zeros(len(rows))
    for place, ends, length in changes:
        constants = known.of(place, rows)
        whole += constants.whole * length
        own = constants.rows * length
        if place == len(tail.nodes) - 1:  # nothing stands behind it
            own = np.minimum(own, np.abs(rows) @ ends.magnitude.numpy() * UP)
        each = each + own
    return Telescoped(whole * UP, each * UP)


def _change(values: Values, tail: Graph, step: Step) -> _Change | None:
    """What one layer's change does to its value; None where it does nothing."""
    node, other = values.graph.nodes[step.f], tail.nodes[step.g]
    if isinstance(node, Quantise):
        ends = moved(node, values.ends[node.inputs[0]])
        return _Change(step.g, ends, _length(ends))
    changed = change(node, other) if isinstance(node, Linear) and isinstance(other, Linear) else None
    if changed is None:
        return None
    given = [values.ends[k] for k in changed.inputs]
    ends = interval(values.graph, changed, given)
    middles = [Ends(middle, middle) for middle in ((low + high) / 2 for low, high in given)]
    radii = [_length(minus(whole, middle)) for whole, middle in zip(given, middles, strict=True)]
    about = [values.at_centre[k] for k in changed.inputs], [values.radii[k] for k in changed.inputs]
    length, norms = _length(ends), NodeNorms(values.graph)  # its table is by identity: a new one for each change
    for centre, reach in ((middles, radii), about):
        if not all(map(isfinite, reach)):
            continue
        length = min(length, _length(interval(values.graph, changed, centre)) + meeting(changed, reach, norms) * UP)
    return _Change(step.g, ends, length)


def _length(ends: Ends) -> float:
    """An upper bound of the l2 norm of what lies between the ends."""
    return float(ends.magnitude.norm()) * UP


def _every_user_sees_it(values: Graph, tail: Graph, steps: Sequence[Step]) -> None:
    """Hold that all layers behind a value of the tail stand behind one value of the other network.

    Raises:
        NotApplicable: some stand behind a quantiser, some before it: a change that only some see has no tail.
    """
    seen: dict[int, int] = {}
    for step in steps:
        if not step.alone:
            for own, place in zip(values.nodes[step.f].inputs, tail.nodes[step.g].inputs, strict=True):
                if seen.setdefault(place, own) != own:
                    name = values.nodes[max(own, seen[place])].name
                    raise NotApplicable(f"{name}: some layers take its value, others the one that is not rounded")

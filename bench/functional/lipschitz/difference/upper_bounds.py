"""The methods that bound a difference from above, each asked for linear functions of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.canonical_form.joint import joined, with_rows
from bench.canonical_form.nodes import Nonlinear
from bench.errors import NotApplicable
from bench.functional.lipschitz.difference.delta_interval import delta_intervals
from bench.functional.lipschitz.difference.difference_lines import DifferenceLines
from bench.functional.lipschitz.difference.levelled import levelled
from bench.functional.lipschitz.difference.mixed_integer import Apart, MixedInteger
from bench.functional.lipschitz.difference.tails import Tails
from bench.functional.lipschitz.difference.telescoping import telescoping
from bench.functional.lipschitz.difference.values import Values
from bench.functional.lipschitz.regions import Ball, Region
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import interval, interval_bounds
from bench.functional.lipschitz.relaxations.linear import linear_bounds, relaxed, upper_ends

Float = NDArray[np.float64]
UP = 1 + 1e-12


class Reach(NamedTuple):
    """Where ``R (f − g)`` lies: low and high ends (m,), and an upper bound of ``‖f − g‖₂`` where the method has one."""

    low: Float
    high: Float
    whole: float = inf
    note: str = ""

    @property
    def largest(self) -> Float:
        """The largest magnitude of each row."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


class Pair:
    """Two networks, and what is theirs whatever the region: the graph of their difference, the constants of tails."""

    def __init__(self, f: Graph, g: Graph) -> None:
        self.f, self.g = levelled(f, g)
        self.joined = joined(self.f, self.g)
        self.graph, self.places = self.joined
        self._tails: dict[tuple[int, tuple[int, ...]], Tails] = {}

    def tails(self, graph: Graph, places: tuple[int, ...]) -> Tails:
        """The constants of what stands behind these nodes of f or g, made once."""
        key = int(graph is self.g), places
        if key not in self._tails:
            self._tails[key] = Tails(graph, places)
        return self._tails[key]


@dataclass(frozen=True, eq=False)
class OnRegion:
    """Two networks on a region, and what several methods take from them.

    ``budget`` seconds, for all mixed-integer programs of a question together, and ``branches`` of each of them end
    their search, whichever comes first.
    """

    pair: Pair
    region: Region
    budget: float = 60.0
    branches: int | None = None

    @cached_property
    def ends(self) -> list[Ends]:
        """Intervals of all values of the graph of the difference, by lines where they are narrower."""
        return linear_bounds(self.pair.graph, self.region)

    @cached_property
    def values(self) -> tuple[Values, Values]:
        """What the values of either network can be."""
        f, g, places = self.pair.f, self.pair.g, self.pair.places
        of_f, of_g = self.ends[: len(f.nodes)], [self.ends[places[k]] for k in range(len(g.nodes))]
        return Values(f, self.region, of_f), Values(g, self.region, of_g)

    @cached_property
    def lines(self) -> DifferenceLines:
        """Lines of the difference, layer by layer; raises ``NotApplicable`` where the layers differ."""
        return DifferenceLines(self.pair.f, self.pair.g, self.pair.joined, self.ends, self.region)


def by_telescoping(on: OnRegion, rows: Float) -> Reach:
    """``Σ_l Lip(tail behind l) · sup ‖δ_l‖``."""
    found = telescoping(*on.values, rows, on.pair.tails)
    return Reach(-found.rows, found.rows, found.whole)


def by_delta_intervals(on: OnRegion, rows: Float) -> Reach:
    """Intervals of the difference, layer by layer."""
    of_f, of_g = on.values
    return _of_rows(on.pair.graph, delta_intervals(of_f.graph, of_g.graph, of_f.ends, of_g.ends), rows)


def by_intervals(on: OnRegion, rows: Float) -> Reach:
    """Plain intervals on the joint graph."""
    return _of_rows(on.pair.graph, interval_bounds(on.pair.graph, on.region)[-1], rows)


def by_lines(on: OnRegion, rows: Float) -> Reach:
    """Linear relaxation of the joint graph (CROWN, arXiv 1811.00866), backwards from the rows to the input."""
    graph, ends = on.pair.graph, on.ends
    passing = {}
    for place, node in enumerate(graph.nodes):
        if isinstance(node, Nonlinear):
            passing[place] = relaxed(graph, node, ends[node.inputs[0]], ends[place])
    both = torch.from_numpy(np.concatenate([rows, -rows]))
    with torch.no_grad():
        high, negative = upper_ends(graph, on.region, len(graph.nodes) - 1, both, ends, passing).chunk(2)
    plain = _of_rows(graph, ends[-1], rows)
    return Reach(np.maximum(plain.low, -negative.numpy()), np.minimum(plain.high, high.numpy()))


def by_difference_lines(on: OnRegion, rows: Float) -> Reach:
    """Linear relaxation of the difference, layer by layer."""
    plain = by_delta_intervals(on, rows)
    low, high = on.lines.reach(rows)
    return Reach(np.maximum(plain.low, low), np.minimum(plain.high, high))


def by_mixed_integer(on: OnRegion, rows: Float) -> Reach:
    """The largest and least value of each row, by a mixed-integer linear program each."""
    both = np.concatenate([rows, -rows])
    graph = with_rows(on.pair.graph, torch.from_numpy(both))
    known = by_lines(on, rows).largest
    apart: list[Apart] = []
    with suppress(NotApplicable):
        apart = [Apart(*item) for item in on.lines.apart]
        known = np.minimum(known, by_difference_lines(on, rows).largest)
    program = MixedInteger(graph, on.region, [*on.ends, *on.ends[-1:] * 2], apart)
    each, known = on.budget / len(both), np.tile(known, 2)
    found = [program.maximum(k, float(known[k]), seconds=each, nodes=on.branches) for k in range(len(both))]
    high, negative = np.split(np.array([optimum.upper for optimum in found]), 2)
    stopped = sum(not optimum.finished for optimum in found)
    told = [f"{stopped} of {len(found)} programs stopped at their limit"] if stopped else []
    told += ["of the box around the ball"] if isinstance(on.region, Ball) else []
    return Reach(-negative, high, note="; ".join(told))


METHODS: dict[str, Callable[[OnRegion, Float], Reach]] = {
    "telescoping": by_telescoping,
    "delta-interval": by_delta_intervals,
    "joint intervals": by_intervals,
    "joint CROWN": by_lines,
    "delta-CROWN": by_difference_lines,
    "mixed-integer": by_mixed_integer,
}


def _of_rows(graph: Graph, ends: Ends, rows: Float) -> Reach:
    """Linear functions of outputs that lie between ends."""
    asked = with_rows(graph, torch.from_numpy(rows))
    low, high = interval(asked, asked.nodes[-1], [ends])
    return Reach(low.numpy(), high.numpy())

"""What the values of a network can be on a region: intervals, and balls about the values of the region's centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, MaxPool, Nonlinear, Softmax
from bench.errors import NotApplicable
from bench.functional.lipschitz.graph_bounds.liplt import reach
from bench.functional.lipschitz.graph_bounds.node_norms import NodeNorms
from bench.functional.lipschitz.regions import Ball, Box, Region
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import interval_bounds

Float = NDArray[np.float64]
BOUNDED = (Activation, MaxPool, Softmax)  # nonlinear nodes with a Lipschitz constant


@dataclass(frozen=True, eq=False)
class Values:
    """A network on a region, and intervals that hold all its values there."""

    graph: Graph
    region: Region
    ends: Sequence[Ends]

    @cached_property
    def at_centre(self) -> list[Ends]:
        """Intervals of all values at the centre of the region, as wide as rounding makes them."""
        return interval_bounds(self.graph, Box(self._centre, self._centre))

    @cached_property
    def radii(self) -> list[float]:
        """How far each value may be from that of the centre, in l2: norms multiplied, times the region's radius.

        Infinite where a layer has no constant.
        """
        unknown = [inf] * len(self.graph.nodes)
        if not all(isinstance(node, BOUNDED) for node in self.graph.nodes if isinstance(node, Nonlinear)):
            return unknown
        try:
            known = reach(self.graph, NodeNorms(self.graph))
        except NotApplicable:
            return unknown
        return [bound * self.radius for bound in known]

    @property
    def radius(self) -> float:
        """The l2 radius of the region about its centre."""
        if isinstance(self.region, Ball):
            return self.region.radius
        low, high = self.region
        far = np.maximum(high - self._centre, self._centre - low)
        return float(np.linalg.norm(far)) * (1 + 1e-12)

    @property
    def _centre(self) -> Float:
        return self.region.centre if isinstance(self.region, Ball) else (self.region.low + self.region.high) / 2

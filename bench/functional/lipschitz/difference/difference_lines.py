"""Linear relaxation of the difference itself: of a ReLU's two values what is bounded is how far they are apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.canonical_form.graph import Graph
from bench.canonical_form.joint import Joined
from bench.canonical_form.nodes import Activation, Add, Gather, Linear, Node, Nonlinear, Quantise, Scale
from bench.functional.lipschitz.chain_bounds.rounding import UNIT
from bench.functional.lipschitz.difference.aligned import Step, aligned, change
from bench.functional.lipschitz.difference.delta_interval import delta_ends, moved, slopes_of_both
from bench.functional.lipschitz.difference.interval_sums import minus, without_constant
from bench.functional.lipschitz.regions import Region
from bench.functional.lipschitz.relaxations.activation_lines import Lines
from bench.functional.lipschitz.relaxations.activation_slopes import Slopes, slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import interval
from bench.functional.lipschitz.relaxations.linear import MOST, Passed, between, relaxed, upper_ends
from bench.functional.lipschitz.relaxations.quantiser_lines import quantiser_lines

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Apart(Nonlinear):
    """A difference ``φ(z_f) − φ(z_g)`` of which bounds alone are known; its input is ``z_f − z_g``."""

    def __call__(self, *values: Tensor) -> Tensor:
        """It has no value of its own."""
        raise NotImplementedError


def chord(slopes: Slopes, before: Ends, after: Ends) -> Callable[[Tensor], Passed]:
    """How rows pass backwards through ``s d`` with d between ends and s any number between two slopes.

    The larger of ``α d`` and ``β d`` is convex, so it lies below the line through its ends, and the smaller above;
    where the interval of the result is nearer at the middle, a constant is taken.
    """
    low, high = before
    middle, width = low / 2 + high / 2, high - low
    lines = []
    for sign, best in ((1.0, torch.maximum), (-1.0, torch.minimum)):
        first, last = (best(slopes.alpha * end, slopes.beta * end) for end in before)
        slope = torch.where(width > 0, (last - first) / width, 0.0).clamp(min=slopes.alpha, max=slopes.beta)
        cut = best(first - slope * low, last - slope * high)
        cut = cut + sign * 16 * UNIT * (first.abs() + last.abs() + (slope * low).abs() + (slope * high).abs())
        end = after.high if sign > 0 else after.low
        flat = sign * end <= sign * (slope * middle + cut)
        lines += [torch.where(flat, 0.0, slope), torch.where(flat, end, cut)]
    above, cut_above, below, cut_below = lines
    return between(Lines(below, cut_below, above, cut_above), before)


def beyond_identity(node: Quantise, before: Ends, after: Ends) -> Callable[[Tensor], Passed]:
    """How rows pass backwards through ``q(z) − z``: the lines of the quantiser less z."""
    lines = quantiser_lines(node, before, after)
    slopes = {"slope_below": lines.slope_below - 1.0, "slope_above": lines.slope_above - 1.0}
    return between(lines._replace(**slopes), before)


def gap(slopes: Slopes, ends: Ends) -> Tensor:
    """The mean height between the lines of ``chord``, of each number."""
    return (slopes.beta - slopes.alpha) * (ends.low.abs() + ends.high.abs()) / 2


def gap_of(node: Node, ends: Ends) -> Tensor:
    """The mean height between the lines of an activation by itself, of each number, as that of a ReLU."""
    assert isinstance(node, Activation)
    slopes = slopes_on(node, ends)
    return (slopes.beta - slopes.alpha) * torch.minimum(ends.low.abs(), ends.high.abs()) / 2


class DifferenceLines:
    """Two networks of one structure on a region as one graph whose last value is their difference, layer by layer.

    Beside the nodes of f and g stand those of the difference: ``L_g d + (L_f − L_g) a_f`` of a linear node, of an
    activation a number between ``α d`` and ``β d``, α and β the slopes between both arguments (the relaxation of
    NeuroDiff, arXiv 2009.09943, put together backwards as in CROWN, arXiv 1811.00866). What stands before an
    activation is bounded by lines too, and is never wider than ``delta_ends``.

    Args:
        f: a network.
        g: another one of the same layers.
        whole: their joint graph.
        ends: intervals of all its values.
        region: where inputs lie.

    Raises:
        NotApplicable: the layers differ in kind, order or shape.
    """

    def __init__(self, f: Graph, g: Graph, whole: Joined, ends: Sequence[Ends], region: Region) -> None:
        self.f, self.g, self.region = f, g, region
        self.nodes: list[Node] = list(whole.graph.nodes[:-1])
        self.ends: list[Ends] = list(ends[: len(self.nodes)])
        self.passing: dict[int, Callable[[Tensor], Passed]] = {}
        for place, node in enumerate(self.nodes):
            if isinstance(node, Nonlinear):
                self.passing[place] = relaxed(whole.graph, node, ends[node.inputs[0]], ends[place])
        of_g = [ends[whole.places[k]] for k in range(len(g.nodes))]
        self.known = delta_ends(f, g, ends[: len(f.nodes)], of_g)
        self.of_f, self.of_g, self.places_of_g = ends[: len(f.nodes)], of_g, whole.places
        self.places: dict[tuple[int, int], int | None] = {(0, 0): None}  # None: no difference
        with torch.no_grad():
            for step in aligned(f, g)[1:]:
                self.places[step.f, step.g] = self._after(step)

    def reach(self, rows: Float) -> tuple[Float, Float]:
        """Low and high ends (m,) of ``R (f − g)``."""
        place = self.places[len(self.f.nodes) - 1, len(self.g.nodes) - 1]
        if place is None:
            return np.zeros(len(rows)), np.zeros(len(rows))
        both = torch.from_numpy(np.concatenate([rows, -rows]))
        with torch.no_grad():
            found = upper_ends(Graph(tuple(self.nodes)), self.region, place, both, self.ends, self.passing)
        high, negative = found.chunk(2)
        return -negative.numpy(), high.numpy()

    @property
    def apart(self) -> list[tuple[int, int, Ends]]:
        """What is known of differences: places in the joint graph, and the interval of the one value less the other."""
        pairs = ((pair, place) for pair, place in self.places.items() if place is not None)
        return [(f, self.places_of_g[g], self.ends[place]) for (f, g), place in pairs]

    def _after(self, step: Step) -> int | None:
        """The place of the difference behind a step."""
        known = self.known[step.f, step.g]
        if step.alone:
            return self._quantiser(step, known)
        first, second = self.f.nodes[step.f], self.g.nodes[step.g]
        pairs = list(zip(first.inputs, second.inputs, strict=True))
        given = [self.places[pair] for pair in pairs]
        if isinstance(first, Linear):
            assert isinstance(second, Linear)
            return self._linear(first, second, given, known)
        if given[0] is None:
            return None
        node = Apart(name=first.name, inputs=(given[0],), shape=first.shape)
        if not isinstance(first, Activation):
            return self._put(node, known)
        at_f, at_g = self.of_f[pairs[0][0]], self.of_g[pairs[0][1]]
        slopes = slopes_of_both(first, at_f, at_g)
        self._narrow(given[0], slopes)
        ends = self.ends[given[0]]
        products = torch.stack([slope * end for slope in slopes for end in ends])
        slack = 4 * UNIT * products.abs().amax(dim=0)
        known = known.meet(Ends(products.amin(dim=0) - slack, products.amax(dim=0) + slack))
        place = self._put(node, known)
        self.passing[place] = chord(slopes, ends, self.ends[place])
        return self._or_apart(place, step, gap(slopes, ends) > gap_of(first, at_f) + gap_of(second, at_g), known)

    def _quantiser(self, step: Step, known: Ends) -> int:
        """The difference behind a quantiser of one network: what it moves is added."""
        of_f = step.alone == "f"
        node = self.f.nodes[step.f] if of_f else self.g.nodes[step.g]
        assert isinstance(node, Quantise)
        (before,) = node.inputs
        ends, pair = (self.of_f, (before, step.g)) if of_f else (self.of_g, (step.f, before))
        place = before if of_f else self.places_of_g[before]
        rounding = self._put(Apart(name=node.name, inputs=(place,), shape=node.shape), moved(node, ends[before]))
        self.passing[rounding] = beyond_identity(node, ends[before], ends[step.f if of_f else step.g])
        sign, before_it = 1.0 if of_f else -1.0, self.places[pair]
        width = self.ends[rounding].high - self.ends[rounding].low
        if before_it is not None:
            width = width + self.ends[before_it].high - self.ends[before_it].low
        both = minus(self.of_f[step.f], self.of_g[step.g])
        place = self._sum(before_it, rounding, node, known, sign)
        return self._or_apart(place, step, width > both.high - both.low, known)

    def _or_apart(self, place: int, step: Step, wide: Tensor, known: Ends) -> int:
        """Both values as they are, each between its own lines, in the place of their difference where that is wide."""
        if not wide.any():
            return place
        shape = self.nodes[place].shape
        inputs = step.f, self.places_of_g[step.g]
        both = self._put(Add(name="both", inputs=inputs, shape=shape, coefficients=(1.0, -1.0)), known)
        kept = [
            self._put(Scale(name="", inputs=(k,), shape=shape, factor=mask.double().reshape(shape)), None)
            for k, mask in ((both, wide), (place, ~wide))
        ]
        return self._put(Add(name="either", inputs=tuple(kept), shape=shape, coefficients=(1.0, 1.0)), known)

    def _linear(self, first: Linear, second: Linear, given: Sequence[int | None], known: Ends) -> int | None:
        """``L_g d + (L_f − L_g) a_f``."""
        changed, carried = change(first, second), None
        if any(place is not None for place in given):
            inputs = tuple(
                self._zero(k) if place is None else place for k, place in zip(second.inputs, given, strict=True)
            )
            carried = self._put(replace(without_constant(second), inputs=inputs), known if changed is None else None)
        return carried if changed is None else self._sum(carried, self._put(changed, None), first, known, 1.0)

    def _zero(self, place: int) -> int:
        """A node that is 0 in the shape of one of g's values."""
        shape, size = self.g.nodes[place].shape, self.g.nodes[place].size
        return self._put(
            Gather(name="zero", inputs=(0,), shape=shape, index=torch.zeros(size, dtype=torch.int64)), None
        )

    def _sum(self, first: int | None, second: int, node: Node, known: Ends, sign: float) -> int:
        """A difference and what is added to it; the sum lies in ``known``."""
        if first is None and sign == 1.0:
            self.ends[second] = self.ends[second].meet(known)
            return second
        inputs, signs = ((second,), (sign,)) if first is None else ((first, second), (1.0, sign))
        return self._put(Add(name=node.name, inputs=inputs, shape=node.shape, coefficients=signs), known)

    def _put(self, node: Node, known: Ends | None) -> int:
        """A node more, with its interval."""
        graph = Graph(tuple(self.nodes))
        if isinstance(node, Apart):
            assert known is not None
            self.ends.append(known)
            self.passing[len(self.nodes)] = relaxed(graph, node, self.ends[node.inputs[0]], known)
        else:
            own = interval(graph, node, [self.ends[k] for k in node.inputs])
            self.ends.append(own if known is None else own.meet(known))
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _narrow(self, place: int, slopes: Slopes) -> None:
        """Bound by lines what stands before an activation, where its slope is not known."""
        wanted = (slopes.bent & (self.ends[place].high > self.ends[place].low)).nonzero()[:, 0]
        if not 0 < len(wanted) <= MOST:
            return
        rows = torch.zeros(len(wanted), self.nodes[place].size, dtype=torch.float64)
        rows[torch.arange(len(wanted)), wanted] = 1.0
        graph, (low, high) = Graph(tuple(self.nodes)), self.ends[place]
        above = upper_ends(graph, self.region, place, torch.cat([rows, -rows]), self.ends, self.passing)
        high = high.index_put((wanted,), torch.minimum(high[wanted], above[: len(wanted)]))
        low = low.index_put((wanted,), torch.maximum(low[wanted], -above[len(wanted) :]))
        self.ends[place] = Ends(low, high)

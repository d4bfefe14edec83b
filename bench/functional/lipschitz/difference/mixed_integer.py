"""A piecewise linear network on a box as a mixed-integer linear program, maximised by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf, isfinite
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from bench.canonical_form.activations import FUNCTIONS
from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Linear, MaxPool
from bench.errors import NotApplicable
from bench.functional.lipschitz.regions import Region, enclosing_box
from bench.functional.lipschitz.relaxations.activation_slopes import Pieces, pieces_of
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.windows import windows

Float = NDArray[np.float64]
MOST = 50  # ReLUs that may bend
INPUTS = 4096
TOLERANCE = 1e-6  # of HiGHS, for rows, reduced costs and integers; every variable and the objective have size 1


CUT = 1e-9  # relative: cuts are held this far away from what is known
SMALLEST = 1e-3  # of the objective's size, relative to the sum of its coefficients


class Expression(NamedTuple):
    """Numbers as affine functions of the program's variables: matrix (size, variables) and constants (size,)."""

    matrix: Float
    shift: Float


class Apart(NamedTuple):
    """Two nodes by their places, and an interval of the difference of their values, which the program need not find."""

    first: int
    second: int
    ends: Ends


class Optimum(NamedTuple):
    """An upper bound of a maximum, and whether the search ended by itself."""

    upper: float
    finished: bool


class MixedInteger:
    """The values of a graph on a box as a program: variables in [0, 1], rows ``A v ≤ b``, some variables 0 or 1.

    Input i is ``low_i + (high_i − low_i) v_i``. A ReLU whose argument z lies in [l, u] with l < 0 < u has a value
    ``a = u v`` and an integer δ: ``a ≥ z``, ``a ≤ z − l (1 − δ)``, ``a ≤ u δ`` (arXiv 1711.07356). Other piecewise
    linear functions are sums of ReLUs, and ``max(p, q) = p + relu(q − p)``.

    Args:
        graph: linear nodes, piecewise linear activations and max pooling.
        region: where inputs lie; of a ball the box around it.
        ends: intervals of all nodes' values on the region.
        apart: differences of values that are known: rows that cut off what no input gives.
        most: ReLUs that may bend.

    Raises:
        NotApplicable: another node, or more ReLUs bend.
    """

    def __init__(
        self, graph: Graph, region: Region, ends: Sequence[Ends], apart: Sequence[Apart] = (), most: int = MOST
    ) -> None:
        box, size = enclosing_box(region), graph.nodes[0].size
        if size > INPUTS:
            raise NotApplicable(f"{size} inputs; the program takes {INPUTS}")
        self.inputs, self.most, self.used = size, most, 0
        self.integer = np.zeros(size + 2 * most)
        self.rows: list[tuple[Float, float]] = []
        start = np.zeros((size, len(self.integer)))
        np.fill_diagonal(start, box.high - box.low)
        values = [Expression(start, np.asarray(box.low, dtype=np.float64))]
        for node in graph.nodes[1:]:
            given = [values[k] for k in node.inputs]
            if isinstance(node, Linear):
                values.append(_image(graph, node, given))
            elif isinstance(node, Activation) and (pieces := pieces_of(node)) is not None:
                values.append(self._pieces(node, given[0], ends[node.inputs[0]], pieces))
            elif isinstance(node, MaxPool):
                shape = graph.nodes[node.inputs[0]].shape
                values.append(self._largest(windows(node, shape).numpy(), given[0], ends[node.inputs[0]]))
            else:
                what = node.function if isinstance(node, Activation) else type(node).__name__
                raise NotApplicable(f"{node.name}: {what} is not piecewise linear, and a mixed-integer program is")
        self.output = values[-1]
        for first, second, known in apart:
            self._cut(values[first], values[second], known)

    def maximum(self, number: int, known: float = inf, *, seconds: float = inf, nodes: int | None = None) -> Optimum:
        """An upper bound of output ``number``: HiGHS's dual bound, never its incumbent, and a tolerance on top.

        A dual bound is a Lagrangian bound of the rows that remain in each open branch. Reduced costs that are off by
        the tolerance change it by that times the width of each variable, which is 1, and rows by their multipliers; the
        objective is divided by a size S of its values, so ``S · TOLERANCE · (variables + rows)`` is added.

        Args:
            number: of the output.
            known: another upper bound of the output's magnitude: the better it is, the smaller is S.
            seconds: after which the bound of the open branches is taken.
            nodes: branches after which it is taken.
        """
        count = self.inputs + 2 * self.used
        costs, shift = self.output.matrix[number, :count], float(self.output.shift[number])
        reach = np.maximum(costs, 0).sum()
        total = float(np.abs(costs).sum())
        trivial = (shift + reach) + 1e-9 * (abs(shift) + total)
        if not self.rows or total == 0:
            return Optimum(trivial, True)
        size = min(total, max(known, SMALLEST * total))
        options = {"mip_rel_gap": 1e-5} | ({"time_limit": seconds} if isfinite(seconds) else {})
        options |= {} if nodes is None else {"node_limit": nodes}
        left = np.stack([row[:count] for row, _ in self.rows])
        right = np.array([limit for _, limit in self.rows])
        found = milp(
            -costs / size, integrality=self.integer[:count], bounds=Bounds(0, 1),
            constraints=LinearConstraint(left, ub=right), options=options,
        )  # fmt: skip
        dual = found.get("mip_dual_bound")
        limit = found.status == 1 or "limit reached" in found.message  # of branches: a code scipy does not know
        if not (found.status == 0 or limit) or dual is None or not isfinite(dual):
            return Optimum(trivial, False)
        slack = size * TOLERANCE * (count + len(self.rows)) + 1e-9 * (abs(shift) + total)
        return Optimum(min(trivial, shift - size * dual + slack), found.status == 0)

    def _cut(self, first: Expression, second: Expression, known: Ends) -> None:
        """``low ≤ p − q ≤ high``, where either holds a variable that is not an input."""
        matrix, shift = first.matrix - second.matrix, first.shift - second.shift
        size = np.abs(matrix).max(axis=1)
        for k in np.flatnonzero(matrix[:, self.inputs :].any(axis=1)):
            for sign, end in ((1.0, known.high[k]), (-1.0, -known.low[k])):
                room = CUT * (abs(float(end)) + abs(float(shift[k])) + float(np.abs(matrix[k]).sum()))
                self.rows.append((sign * matrix[k] / size[k], (float(end) - sign * float(shift[k]) + room) / size[k]))

    def _pieces(self, node: Activation, given: Expression, ends: Ends, pieces: Pieces) -> Expression:
        """``s_0 z + c + Σ_k (s_{k+1} − s_k) relu(z − t_k)``, breaks t and the constant of each entry its own."""
        slopes = pieces.slopes
        breaks = [np.broadcast_to(np.asarray(at, dtype=np.float64), (node.size,)) for at in pieces.breaks]
        if any((later < earlier).any() for earlier, later in pairwise(breaks)):
            raise NotApplicable(f"{node.name}: a range whose low end exceeds its high end")
        finite = [np.isfinite(at) for at in breaks]
        base = np.select(finite, breaks, 0.0)  # the first break that there is
        first = np.where(np.isneginf(breaks[0]), slopes[1], slopes[0])
        at = FUNCTIONS[node.function](torch.from_numpy(base).reshape(1, *node.shape), *node.parameters)
        matrix = first[:, None] * given.matrix
        shift = first * (given.shift - base) + at.flatten().numpy()
        low, high = (end.numpy() for end in ends)
        for k, known in enumerate(finite):
            turn = np.where(known, breaks[k], 0.0)
            beyond = np.where(known, low - turn, -1.0), np.where(known, high - turn, -1.0)  # off where there is none
            bent = self._relu(Expression(given.matrix, given.shift - turn), *beyond)
            change = slopes[k + 1] - slopes[k]
            matrix, shift = matrix + change * bent.matrix, shift + change * bent.shift
        return Expression(matrix, shift)

    def _largest(self, places: NDArray[np.int64], given: Expression, ends: Ends) -> Expression:
        """The largest entry of each window: places (windows, taps), one plus the entry's, 0 beyond the edge."""
        low, high = (end.numpy() for end in ends)
        best = _taken(given, places.max(axis=1) - 1)  # any that is there
        at_least, at_most = (end[places.max(axis=1) - 1] for end in (low, high))
        for tap in places.T:
            entry = np.where(tap > 0, tap, places.max(axis=1)) - 1
            other = _taken(given, entry)
            more = Expression(other.matrix - best.matrix, other.shift - best.shift)
            none = ~more.matrix.any(axis=1) & (more.shift == 0)  # the same entry
            bounds = np.where(none, 0, low[entry] - at_most), np.where(none, 0, high[entry] - at_least)
            bent = self._relu(more, *bounds)
            best = Expression(best.matrix + bent.matrix, best.shift + bent.shift)
            at_least, at_most = np.maximum(at_least, low[entry]), np.maximum(at_most, high[entry])
        return best

    def _relu(self, given: Expression, low: Float, high: Float) -> Expression:
        """``max(z, 0)`` of each number, of which the ends are known."""
        on, bends = low >= 0, (low < 0) & (high > 0)
        matrix, shift = given.matrix * on[:, None], given.shift * on
        for k in np.flatnonzero(bends):
            if self.used == self.most:
                raise NotApplicable(f"more than {self.most} ReLUs bend on the region; the program takes so many")
            value = self.inputs + 2 * self.used
            self.used += 1
            self.integer[value + 1] = 1
            self._bend(given.matrix[k], float(given.shift[k]), float(low[k]), float(high[k]), value)
            matrix[k, value] = high[k]
        return Expression(matrix, shift)

    def _bend(self, costs: Float, shift: float, low: float, high: float, value: int) -> None:
        """The three rows of a ReLU that bends, each divided by the width of its argument."""
        width = high - low
        above = costs.copy()
        above[value] -= high
        below = -costs
        below[value] += high
        below[value + 1] -= low
        off = np.zeros_like(costs)
        off[value], off[value + 1] = 1.0, -1.0
        self.rows += [(above / width, -shift / width), (below / width, (shift - low) / width), (off, 0.0)]


def _image(graph: Graph, node: Linear, given: Sequence[Expression]) -> Expression:
    """A linear node of expressions: the variables are what it is put to together."""
    shapes = [graph.nodes[k].shape for k in node.inputs]
    pairs = list(zip(given, shapes, strict=True))
    with torch.no_grad():
        matrix = node.linear(*(torch.from_numpy(item.matrix.T.copy()).reshape(-1, *shape) for item, shape in pairs))
        shift = node(*(torch.from_numpy(item.shift).reshape(1, *shape) for item, shape in pairs))
    return Expression(matrix.flatten(1).numpy().T.copy(), shift.flatten().numpy().copy())


def _taken(given: Expression, entries: NDArray[np.int64]) -> Expression:
    return Expression(given.matrix[entries], given.shift[entries])

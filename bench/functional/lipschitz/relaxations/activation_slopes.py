"""The slopes that an activation has on an interval: between them lie the difference quotients of any two points there.

Difference quotients are means of derivatives between the two points, so the least and the largest derivative on the
interval suffice. Piecewise linear functions are taken exactly. Of others the derivative is known between its turns,
where it is monotone: its ends, and the extreme at each turn that may lie inside. Elsewhere the global slopes hold.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.nodes import Activation
from bench.functional.lipschitz.graph_bounds.node_norms import slopes_of
from bench.functional.lipschitz.relaxations.ends import Ends

SLACK = 2.0**-44  # of derivatives made of exp, tanh and erf


class Slopes(NamedTuple):
    """``alpha ≤ (φ(s) − φ(t)) / (s − t) ≤ beta`` for s ≠ t in the interval of each number, (size,) each."""

    alpha: Tensor
    beta: Tensor

    @property
    def bent(self) -> Tensor:
        """Where the function is not known to be linear, (size,)."""
        return self.alpha < self.beta


def slopes_on(node: Activation, ends: Ends) -> Slopes:
    """The slopes on each interval, within the global ones.

    >>> relu = Activation(name="a", inputs=(0,), shape=(1, 3), function="relu")
    >>> ends = Ends(torch.tensor([-1.0, 0.5, -2.0]).double(), torch.tensor([1.0, 1.0, 0.0]).double())
    >>> [slope.tolist() for slope in slopes_on(relu, ends)]
    [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    """
    alpha, beta = (float(end) for end in slopes_of(node))
    everywhere = Slopes(torch.full_like(ends.low, alpha), torch.full_like(ends.low, beta))
    if pieces := pieces_of(node):
        return _of_pieces(pieces, ends)
    rule = SMOOTH.get(node.function)
    found = None if rule is None else rule(node.parameters, ends)
    if found is None:
        return everywhere
    known = found.alpha.isfinite() & found.beta.isfinite()
    low = torch.where(known, found.alpha - SLACK, alpha).clamp(min=alpha)
    return Slopes(low, torch.maximum(low, torch.where(known, found.beta + SLACK, beta).clamp(max=beta)))


class Pieces(NamedTuple):
    """A continuous function that is linear between its breaks, numbers or one for each entry: one slope more."""

    breaks: tuple[float | Tensor, ...]
    slopes: tuple[float, ...]


def pieces_of(node: Activation) -> Pieces | None:
    """The pieces of a piecewise linear activation; None for others."""
    given: tuple[Any, ...] = node.parameters
    if node.function == "relu":
        return Pieces((0.0,), (0.0, 1.0))
    if node.function == "leaky_relu":
        return Pieces((0.0,), (float(given[0]) if given else 0.01, 1.0))
    if node.function == "abs":
        return Pieces((0.0,), (-1.0, 1.0))
    if node.function != "clamp":
        return None
    low, high = (_each(node, end) for end in (*given, None, None)[:2])
    low, high = -inf if low is None else low, inf if high is None else high
    if not isinstance(low, Tensor) and not isinstance(high, Tensor) and not low < high:
        return Pieces((0.0,), (0.0, 0.0))
    return Pieces((low, high), (0.0, 1.0, 0.0))


def _each(node: Activation, parameter: Any) -> Any:
    """A parameter as a number, or flat with one number for each entry."""
    if isinstance(parameter, Tensor):
        return torch.broadcast_to(parameter.double(), node.shape).reshape(-1)
    return None if parameter is None else float(parameter)


def _of_pieces(pieces: Pieces, ends: Ends) -> Slopes:
    """The slopes of all pieces that an interval has a part of; of a single point that of the piece to its right."""
    limits: tuple[Any, ...] = (-inf, *pieces.breaks, inf)
    alpha, beta = torch.full_like(ends.low, inf), torch.full_like(ends.low, -inf)
    for slope, begin, end in zip(pieces.slopes, limits, limits[1:], strict=False):
        point = (ends.low == ends.high) & (ends.low >= begin) & (ends.low < end)
        part = ((ends.low < end) & (ends.high > begin)) | point
        alpha = torch.where(part, alpha.clamp(max=slope), alpha)
        beta = torch.where(part, beta.clamp(min=slope), beta)
    return Slopes(alpha, beta)


class Turn(NamedTuple):
    """Where a derivative turns, enclosed, and its value there."""

    after: float
    before: float
    value: float


def _between_turns(derivative: Callable[[Tensor], Tensor], turns: tuple[Turn, ...], ends: Ends) -> Slopes:
    first, last = derivative(ends.low), derivative(ends.high)
    alpha, beta = torch.minimum(first, last), torch.maximum(first, last)
    for turn in turns:
        inside = (ends.low <= turn.before) & (ends.high >= turn.after)
        alpha = torch.where(inside, alpha.clamp(max=turn.value), alpha)
        beta = torch.where(inside, beta.clamp(min=turn.value), beta)
    return Slopes(alpha, beta)


def _tanh(_: Any, ends: Ends) -> Slopes:
    return _between_turns(lambda z: 1 / torch.cosh(z) ** 2, (Turn(0.0, 0.0, 1.0),), ends)


def _sigmoid(_: Any, ends: Ends) -> Slopes:
    return _between_turns(lambda z: z.sigmoid() * (-z).sigmoid(), (Turn(0.0, 0.0, 0.25),), ends)


def _softplus(given: Any, ends: Ends) -> Slopes:
    rate = float(given[0]) if given else 1.0
    if rate <= 0:
        return Slopes(torch.full_like(ends.low, torch.nan), torch.full_like(ends.low, torch.nan))
    return _between_turns(lambda z: (rate * z).sigmoid(), (), ends)


def _gelu(given: Any, ends: Ends) -> Slopes | None:
    if "tanh" in given:
        return None
    turn, width = sqrt(2.0), 1e-9  # φ'' = (2 − z²) pdf(z)
    turns = Turn(-turn - width, -turn + width, -0.12890414518516), Turn(turn - width, turn + width, 1.12890414518516)
    root = sqrt(0.5)

    def derivative(z: Tensor) -> Tensor:
        return 0.5 * torch.erfc(-z * root) + z * torch.exp(-z * z / 2) * 0.3989422804014327

    return _between_turns(derivative, turns, ends)


def _silu(_: Any, ends: Ends) -> Slopes:
    turn, width = 2.3993572805154, 1e-9  # φ'' = 0 where z tanh(z / 2) = 2, once on either side
    turns = Turn(-turn - width, -turn + width, -0.09983932012887), Turn(turn - width, turn + width, 1.09983932012887)
    return _between_turns(lambda z: z.sigmoid() * (1 + z * (-z).sigmoid()), turns, ends)


def _hardswish(_: Any, ends: Ends) -> Slopes:
    """Derivative 0 below −3, then ``(2 z + 3) / 6``, which rises from −½ to 1½, then 1."""
    inner = ends.low.clamp(min=-3.0, max=3.0), ends.high.clamp(min=-3.0, max=3.0)
    touched = (ends.low < 3.0) & (ends.high > -3.0)
    alpha = torch.where(touched, (2 * inner[0] + 3) / 6, inf)
    beta = torch.where(touched, (2 * inner[1] + 3) / 6, -inf)
    for slope, part in ((0.0, ends.low <= -3.0), (1.0, ends.high >= 3.0)):
        alpha = torch.where(part, alpha.clamp(max=slope), alpha)
        beta = torch.where(part, beta.clamp(min=slope), beta)
    return Slopes(alpha, beta)


def _hardsigmoid(_: Any, ends: Ends) -> Slopes:
    return _of_pieces(Pieces((-3.0, 3.0), (0.0, 1 / 6, 0.0)), ends)


def _elu(given: Any, ends: Ends) -> Slopes | None:
    """Derivative ``α κ σ e^(κ z)`` below 0, ``κ σ`` above; rising there where α, σ and κ are positive."""
    alpha, scale, rate = (*(float(item) for item in given), *(1.0, 1.0, 1.0)[len(given) :])
    if min(alpha, scale, rate) <= 0:
        return None
    steep = scale * rate
    below = ends.low < 0
    first = torch.where(below, alpha * steep * torch.exp(rate * ends.low), steep)
    last = torch.where(below, alpha * steep * torch.exp(rate * ends.high.clamp(max=0.0)), steep)
    above = ends.high >= 0
    last_above = torch.where(above, steep, last)
    every = torch.stack([first, last, last_above])
    return Slopes(every.amin(dim=0), every.amax(dim=0))


SMOOTH: dict[str, Callable[[Any, Ends], Slopes | None]] = {
    "elu": _elu, "gelu": _gelu, "hardsigmoid": _hardsigmoid, "hardswish": _hardswish, "sigmoid": _sigmoid,
    "silu": _silu, "softplus": _softplus, "tanh": _tanh,
}  # fmt: skip

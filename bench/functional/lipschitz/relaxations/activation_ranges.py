"""The values that an activation takes on an interval."""

from __future__ import annotations

from math import exp, prod
from typing import NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.activations import FUNCTIONS
from bench.canonical_form.nodes import Activation
from bench.functional.lipschitz.relaxations.activation_slopes import pieces_of, slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends, outward

LIBRARY = 2.0**-46  # relative error allowed to exp, tanh, erf and what is made of them
EXACT = frozenset({"relu", "clamp", "abs"})


class Valley(NamedTuple):
    """A function that falls, then rises: where it turns, enclosed, and a number below its least value."""

    after: float
    before: float
    least: float


VALLEYS = {
    "abs": Valley(0.0, 0.0, 0.0),
    "gelu": Valley(-0.75180, -0.75178, -0.16997120748),
    "gelu_tanh": Valley(-0.75247, -0.75245, -0.17004075058),
    "hardswish": Valley(-1.5, -1.5, -0.375),
    "mish": Valley(-1.19244, -1.19242, -0.30884341302),
    "silu": Valley(-1.27847, -1.27846, -0.27846454277),
}


def value_and_slack(node: Activation, z: Tensor) -> tuple[Tensor, Tensor]:
    """``φ(z)`` as computed, z (..., size), and how far it may be from the function itself."""
    shaped = z.reshape(*z.shape[:-1], *node.shape)  # parameters may be one for each entry
    value = FUNCTIONS[node.function](shaped, *node.parameters).reshape(z.shape)
    if node.function in EXACT:
        return value, torch.zeros_like(value)
    numbers = [abs(float(item)) for item in node.parameters if isinstance(item, int | float)]
    size = LIBRARY * (1 + z.abs() + value.abs())
    if node.function == "softplus":  # torch takes z itself beyond a threshold, and leaves out log(1 + e^−20)
        rate, threshold = (*numbers, *(1.0, 20.0)[len(numbers) :])
        return value, size + torch.where(rate * z > threshold, 2 * exp(-threshold) / rate, 0.0)
    return value, size * prod(max(number, 1.0) for number in numbers)


def range_on(node: Activation, ends: Ends) -> Ends:
    """An interval that holds ``φ(z)`` for every z between the ends.

    >>> relu = Activation(name="a", inputs=(0,), shape=(1, 1), function="relu")
    >>> [end.tolist() for end in range_on(relu, Ends(torch.tensor([-1.0]).double(), torch.tensor([2.0]).double()))]
    [[0.0], [2.0]]
    """
    (first, doubt), (last, doubt_too) = value_and_slack(node, ends.low), value_and_slack(node, ends.high)
    slack = torch.maximum(doubt, doubt_too)
    low, high = torch.minimum(first, last), torch.maximum(first, last)
    valley = VALLEYS.get("gelu_tanh" if "tanh" in node.parameters else node.function)
    if valley is not None:
        inside = (ends.low <= valley.before) & (ends.high >= valley.after)
        return outward(torch.where(inside, low.clamp(max=valley.least), low), high, slack)
    if pieces := pieces_of(node):  # at its ends and corners
        corners = [value_and_slack(node, ends.low.clamp(min=at).minimum(ends.high)) for at in pieces.breaks]
        every = torch.stack([first, last, *(value for value, _ in corners)])
        return outward(
            every.amin(dim=0), every.amax(dim=0), torch.stack([slack, *(off for _, off in corners)]).amax(dim=0)
        )
    slopes = slopes_on(node, ends)
    up, down = slopes.beta.clamp(min=0), (-slopes.alpha).clamp(min=0)
    steep = up + down
    beyond = torch.where(steep > 0, up * down / steep.clamp(min=1e-300), 0.0) * (ends.high - ends.low)
    beyond = torch.where(down > 0, beyond * (1 + 1e-12), 0.0)  # none where the function rises throughout
    return outward(low - beyond, high + beyond, slack)

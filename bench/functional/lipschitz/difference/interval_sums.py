"""Sums and differences of intervals, rounded outward."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from bench.canonical_form.nodes import Linear
from bench.functional.lipschitz.chain_bounds.rounding import UNIT
from bench.functional.lipschitz.relaxations.ends import Ends


def without_constant(node: Linear) -> Linear:
    """The linear map alone."""
    return node if node.bias is None else replace(node, bias=None)  # type: ignore[call-arg]


def plus(first: Ends, second: Ends) -> Ends:
    """The interval of a sum of two numbers."""
    return apart(first.low + second.low, first.high + second.high)


def minus(first: Ends, second: Ends) -> Ends:
    """The interval of a difference of two numbers that are not known to belong together."""
    return apart(first.low - second.high, first.high - second.low)


def apart(low: Tensor, high: Tensor) -> Ends:
    """Ends moved out by what one addition may have rounded."""
    return Ends(low - 4 * UNIT * low.abs(), high + 4 * UNIT * high.abs())

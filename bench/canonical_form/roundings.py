"""Operators that round, and clamps that are written as comparisons: what quantisers are made of."""

from __future__ import annotations

from math import inf
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.calls import Alive, Call, only_input
from bench.canonical_form.nodes import Activation, Node, Quantise, Scale
from bench.errors import NotApplicable

COMPARING: Final = frozenset({"gt", "ge", "lt", "le"})


class Compared(NamedTuple):
    """Whether a value lies above or below a constant: of use only where it chooses between the two."""

    alive: Alive
    above: bool
    constant: Any


def compared(call: Call) -> Compared:
    """A comparison with a constant."""
    alive = only_input(call)
    return Compared(alive, call.operator in ("gt", "ge"), call.args[1])


def chosen(call: Call) -> Node:
    """``where(x > c, c, x)`` and its like: a clamp from one side."""
    condition, first, second = call.args
    if isinstance(condition, Compared) and condition.alive in (first, second):
        takes_constant = second == condition.alive  # where the comparison holds
        other = first if takes_constant else second
        if not isinstance(other, Alive) and _equal(other, condition.constant):
            below = condition.above == takes_constant
            ends = (None, other) if below else (other, None)
            return clamp(call, condition.alive, *ends)
    raise NotApplicable(f"{call.name}: 'where' chooses between other things than a value and what it is compared with")


def bounded(call: Call) -> Node:
    """The larger, or the smaller, of a value and a constant."""
    first, second = call.args[:2]
    if isinstance(first, Alive) == isinstance(second, Alive):
        raise NotApplicable(f"{call.name}: {call.operator!r} of two figures of the input has no canonical form")
    alive, constant = (first, second) if isinstance(first, Alive) else (second, first)
    return clamp(call, alive, *((constant, None) if call.operator == "maximum" else (None, constant)))


def clamp(call: Call, alive: Alive, low: Any, high: Any) -> Activation:
    """A clamp by numbers, or by ends that differ from entry to entry."""
    if alive.shape != tuple(call.out.shape):
        raise NotApplicable(f"{call.name}: clamps at ends of a larger shape")
    return Activation(function="clamp", parameters=(_parameter(low), _parameter(high)), **call.base(alive))


def rounded(call: Call) -> Node:
    """``round(x)``: a quantiser of scale 1 without ends."""
    alive = only_input(call)
    if call.kwargs.get("decimals", 0):
        raise NotApplicable(f"{call.name}: rounds to decimals")
    return Quantise(scale=_number(1), low=_number(-inf), high=_number(inf), **call.base(alive))


def fake_quantised(call: Call) -> Node:
    """Torch's own fake quantisation: one scale and zero point, or one of each for every index of an axis."""
    alive, scale, zero, *rest = call.args
    if not isinstance(alive, Alive):
        raise NotApplicable(f"{call.name}: {call.operator!r} is not known with these operands")
    if "tensor_qparams" in call.operator and float(rest[0]) == 0:  # fake quantisation that is switched off
        return Scale(factor=_number(1), **call.base(alive))
    lowest, highest = rest[-2:]
    step, code = _double(scale), _double(zero)
    if "per_channel" in call.operator:
        wide = [-1 if axis == rest[0] % len(alive.shape) else 1 for axis in range(len(alive.shape))]
        step, code = step.reshape(wide), code.reshape(wide)
    else:
        step, code = step.reshape(()), code.reshape(())
    if not torch.equal(code, code.round()):
        raise NotApplicable(f"{call.name}: a zero point that is no whole number")
    # torch adds the zero point to what is rounded already
    return Quantise(scale=step, low=(lowest - code) * step, high=(highest - code) * step, **call.base(alive))


def _equal(one: Any, other: Any) -> bool:
    return torch.equal(_double(one), _double(other))


def _parameter(value: Any) -> float | Tensor | None:
    if value is None:
        return None
    found = _double(value)
    return float(found) if found.numel() == 1 else found


def _double(value: Any) -> Tensor:
    return torch.as_tensor(value).detach().double()


def _number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)

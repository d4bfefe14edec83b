"""Architectures made narrower, to cost a given number of multiply-accumulates."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import NamedTuple

from torch import nn

from bench.errors import UserError
from bench.functional.module_cost import multiply_accumulates
from bench.models.base import Model
from bench.models.training import initialise
from bench.networks.network import InputSpec

WIDTHS = ("stem", "width", "widths", "hidden")  # parameters of an architecture that scale together
STEPS = 256  # at most so many factors are tried


class Scaled(NamedTuple):
    """An architecture, by which factor its widths were multiplied, and its multiply-accumulates."""

    model: Model
    factor: float
    macs: int


def counted(module: nn.Module, declared: InputSpec, where: str) -> int:
    """The multiply-accumulates of a network; ``UserError`` where they cannot be counted."""
    macs, reason = multiply_accumulates(module, declared.shape)
    if macs is None:
        what = f"multiply-accumulates cannot be counted: {reason}"
        raise UserError.at(where, what, "choose another architecture")
    return macs


def nearest_width(model: Model, declared: InputSpec, wanted: int, where: str = "model") -> Scaled:
    """The architecture with its widths scaled by one factor of at most 1, nearest to so many multiply-accumulates.

    Factors are k / the largest width. Widths that the architecture refuses (heads that do not divide them) are passed
    over; of two as near the smaller is taken.

    Raises:
        UserError: the architecture has no width.

    >>> from bench.models.mlp import Mlp
    >>> declared = InputSpec((1, 2, 2), ("a", "b"))
    >>> nearest = nearest_width(Mlp(hidden=(10,)), declared, 31)  # 4 h + 2 h
    >>> nearest.model.hidden, nearest.factor, nearest.macs
    ((5,), 0.5, 30)
    """
    names = [field.name for field in fields(model) if field.name in WIDTHS]  # type: ignore[arg-type]
    largest = max((size for name in names for size in _sizes(getattr(model, name))), default=0)
    if largest == 0:
        what = f"{model.name!r} has no width to scale"
        raise UserError.at(where, what, "choose an architecture with widths")
    tried: dict[Model, Scaled] = {}
    count = min(largest, STEPS)
    for number in range(1, count + 1):
        factor = number / count
        scaled = replace(model, **{name: _scale(getattr(model, name), factor) for name in names})  # type: ignore[type-var]
        if scaled not in tried:
            try:
                module = initialise(scaled, declared, 0)
            except UserError:
                continue
            tried[scaled] = Scaled(scaled, factor, counted(module, declared, where))
    return min(tried.values(), key=lambda each: (abs(each.macs - wanted), each.macs))


def _sizes(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _scale(value: int | tuple[int, ...], factor: float) -> int | tuple[int, ...]:
    """At least 1 each; halves go up."""
    scaled = tuple(max(1, int(size * factor + 0.5)) for size in _sizes(value))
    return scaled if isinstance(value, tuple) else scaled[0]

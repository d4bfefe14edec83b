"""What is known of how far two networks can be apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.functional.lipschitz.certificate import Norm


@dataclass(frozen=True)
class DifferenceBound:
    """One bound on ``sup ‖f(x) − g(x)‖`` over a region, in the units of the outputs.

    ``certified``: at or above it, rounding included. ``lower``: at or below it; two inputs were not needed, one showed
    it.
    """

    method: str
    kind: Literal["certified", "lower"]
    norm: Norm  # of the outputs
    domain: str
    value: float
    seconds: float = 0.0
    note: str = ""  # what a reader must know: a time limit, a box in the place of a ball


def enclosing(bounds: Sequence[DifferenceBound], norm: Norm) -> tuple[DifferenceBound | None, DifferenceBound | None]:
    """The largest lower bound and the least certified one of a norm, between which the supremum lies.

    None where there is none.

    Raises:
        AssertionError: the lower one exceeds the certified one, which no pair of networks can bring about.

    >>> bounds = [DifferenceBound("a", "certified", "l2", "box", 3.0), DifferenceBound("b", "lower", "l2", "box", 1.0)]
    >>> [bound.method for bound in enclosing(bounds, "l2")]
    ['b', 'a']
    """
    own = [bound for bound in bounds if bound.norm == norm]
    lower = max((bound for bound in own if bound.kind == "lower"), key=lambda bound: bound.value, default=None)
    certified = min((bound for bound in own if bound.kind == "certified"), key=lambda bound: bound.value, default=None)
    if lower is not None and certified is not None:
        what = f"{lower.method} {lower.value} exceeds {certified.method} {certified.value}"
        assert lower.value <= certified.value, what
    return lower, certified

"""What is known of one Lipschitz constant: a value, and what kind of knowledge it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["certified", "lower", "estimate"]
Norm: TypeAlias = Literal["l2", "linf"]


@dataclass(frozen=True)
class LayerNorm:
    """What one layer adds to a product: an upper end, and the rule it comes from."""

    layer: str
    upper: float
    rule: str
    lower: float = 0.0  # found on the true operator


@dataclass(frozen=True)
class LipschitzBound:
    """One bound on ``sup ‖f(x) − f(y)‖ / ‖x − y‖`` over a domain, both norms alike.

    ``certified``: at or above the constant, rounding included (``slack``, relative). ``lower``: at or below it.
    ``estimate``: neither; it takes part in no minimum or maximum with the others.

    ``of``: the network, or its surrogate, in which rounding is left out: a bound of that is none of the network.
    ``scale``: above 0 the bound is one of pairs that are at least so far apart, ``sup_{‖x − y‖ ≥ scale}``.
    """

    method: str
    kind: Kind
    value: float
    norm: Norm = "l2"
    domain: str = "global"
    slack: float = 0.0  # relative, already in ``value``
    seconds: float = 0.0
    layers: tuple[LayerNorm, ...] = ()
    note: str = ""  # what a reader must know: a product at skips, a time limit, a solver that stopped early
    of: Literal["network", "surrogate"] = "network"
    scale: float = 0.0


def alike(bounds: Sequence[LipschitzBound], of: str = "network", scale: float = 0.0) -> list[LipschitzBound]:
    """The bounds of one constant: of the network or its surrogate, at one scale; others say nothing of it."""
    return [bound for bound in bounds if bound.of == of and bound.scale == scale]


def best(bounds: Sequence[LipschitzBound], of: str = "network", scale: float = 0.0) -> LipschitzBound | None:
    """The smallest certified bound of the network's constant; None where there is none.

    Args:
        bounds: of one network, in one norm; those of its surrogate or of another scale are passed over.
        of: ``surrogate`` for the constant of the surrogate.
        scale: above 0 for the constant of pairs that far apart.

    >>> best([LipschitzBound("a", "certified", 3.0), LipschitzBound("b", "estimate", 1.0)]).method
    'a'
    >>> best([LipschitzBound("a", "certified", 3.0, of="surrogate")]) is None
    True
    """
    certified = [bound for bound in alike(bounds, of, scale) if bound.kind == "certified"]
    return min(certified, key=lambda bound: bound.value, default=None)


def enclosing(
    bounds: Sequence[LipschitzBound], of: str = "network", scale: float = 0.0
) -> tuple[LipschitzBound | None, LipschitzBound | None]:
    """The largest lower bound and the smallest certified one, between which the constant lies; None where none is.

    Arguments as of ``best``.

    Raises:
        AssertionError: the lower one exceeds the certified one, which no network can bring about.

    >>> enclosing([LipschitzBound("a", "certified", 3.0), LipschitzBound("b", "lower", 1.0)])[0].method
    'b'
    """
    certified = best(bounds, of, scale)
    found = [bound for bound in alike(bounds, of, scale) if bound.kind == "lower"]
    lower = max(found, key=lambda bound: bound.value, default=None)
    if lower is not None and certified is not None:
        what = f"{lower.method} {lower.value} exceeds {certified.method} {certified.value}"
        assert lower.value <= certified.value, what
    return lower, certified

"""What a quantised network promises of two inputs that are some way apart."""

from __future__ import annotations

from math import isfinite

from bench.functional.lipschitz.certificate import LipschitzBound
from bench.functional.lipschitz.quantised_bounds.rounding_error import RoundingError

UP = 1 + 1e-12


def affine_gain(constant: float, error: float, distance: float) -> float:
    """An upper bound of ``‖f_q(x) − f_q(y)‖`` for inputs that far apart: ``L~ ‖x − y‖ + 2 δ``.

    ``f_q(x) − f_q(y) = (f_q(x) − f~(x)) + (f~(x) − f~(y)) + (f~(y) − f_q(y))``.

    Args:
        constant: L~, a certified constant of the surrogate.
        error: δ, of ``rounding_error``.
        distance: ``‖x − y‖``.

    >>> affine_gain(2.0, 0.25, 3.0)
    6.5
    """
    return constant * distance + 2 * error


def scale_bound(constant: LipschitzBound, error: RoundingError, r: float) -> LipschitzBound:
    """An upper bound of ``L_r = sup ‖f_q(x) − f_q(y)‖ / ‖x − y‖`` over pairs with ``‖x − y‖ ≥ r``.

    ``L_r ≤ L~ + 2 δ / r`` by the affine gain, which falls with the distance; and ``L_r ≤ D / r`` where no two outputs
    are further than D apart. Of a network that does not round δ = 0, and ``L_r ≤ L``.

    Args:
        constant: a certified bound of the surrogate's constant; of the network's own where it does not round.
        error: of the same norm.
        r: in the units of the input, above 0.

    Raises:
        ValueError: r is not above 0, or the bound is of another constant or norm.

    >>> from bench.functional.lipschitz.quantised_bounds.rounding_error import Share
    >>> surrogate = LipschitzBound("product", "certified", 2.0, of="surrogate")
    >>> round(scale_bound(surrogate, RoundingError(0.25, (Share("q", 0.25, "norms"),), "", "l2"), 0.5).value, 9)
    3.0
    """
    if not r > 0:
        raise ValueError(f"a scale of {r}; it must be above 0")
    own = "surrogate" if error.shares else "network"
    if (constant.kind, constant.of, constant.norm, constant.scale) != ("certified", own, error.norm, 0.0):
        raise ValueError(f"{constant.method!r} is no certified bound of the {own}'s constant in {error.norm}")
    gain = constant.value + 2 * error.value / r
    note = f"{constant.method} {constant.value:.6g}" + (f" + 2 · {error.value:.6g} / r" if error.shares else "")
    if isfinite(error.diameter) and error.diameter / r < gain:
        gain, note = error.diameter / r, f"no two outputs are further than {error.diameter:.6g} apart"
    return LipschitzBound(
        f"scale-r (r = {r:.6g})", "certified", gain * UP, constant.norm, pairs_apart(r), constant.slack,
        constant.seconds, constant.layers, note, scale=r,
    )  # fmt: skip


def pairs_apart(r: float) -> str:
    """The domain of a constant at a scale, in words."""
    return f"pairs at least {r:.6g} apart"

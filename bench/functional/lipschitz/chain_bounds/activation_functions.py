"""Activations by name, as functions with derivatives: what a value of a chain at a point needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.special import erf, expit

from bench.functional.lipschitz.chain import Activation, Float

Pair: TypeAlias = tuple[Float, Float]  # φ(z), φ'(z)
PIECEWISE = frozenset({"relu", "leaky_relu"})  # slope α below 0, β above


def evaluated(activation: Activation, z: Float) -> Pair:
    """``φ(z)`` and its derivative, z of shape (…, n); at a kink the derivative from above.

    Raises:
        ValueError: there is no function of that name.

    >>> leaky = Activation("leaky_relu", np.array([0.1]), np.array([1.0]))
    >>> value, slope = evaluated(leaky, np.array([-2.0]))
    >>> value.tolist(), slope.tolist()
    ([-0.2], [0.1])
    """
    if activation.name in PIECEWISE:
        slope = np.where(z >= 0, activation.beta, activation.alpha)
        return slope * z, slope
    if activation.name not in SMOOTH:
        known = ", ".join(sorted((*PIECEWISE, *SMOOTH)))
        raise ValueError(f"no function is known for the activation {activation.name!r}; known are {known}")
    return SMOOTH[activation.name](z)


def _tanh(z: Float) -> Pair:
    value = np.tanh(z)
    return value, 1 - value**2


def _sigmoid(z: Float) -> Pair:
    value = expit(z)
    return value, value * (1 - value)


def _gelu(z: Float) -> Pair:
    below = (1 + erf(z / np.sqrt(2))) / 2
    return z * below, below + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _silu(z: Float) -> Pair:
    gate = expit(z)
    return z * gate, gate * (1 + z * (1 - gate))


def _hardswish(z: Float) -> Pair:
    inner = (np.abs(z) < 3).astype(np.float64)
    return z * np.clip(z + 3, 0, 6) / 6, inner * (2 * z + 3) / 6 + (z >= 3)


SMOOTH: dict[str, Callable[[Float], Pair]] = {
    "tanh": _tanh, "sigmoid": _sigmoid, "gelu": _gelu, "silu": _silu, "hardswish": _hardswish,
}  # fmt: skip

"""The slopes between which the difference quotients of an activation lie, over all of the real line."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.functional.lipschitz.chain import Activation

Float: TypeAlias = NDArray[np.float64]


class Slopes(NamedTuple):
    """``alpha ≤ (φ(s) − φ(t)) / (s − t) ≤ beta`` for all s ≠ t: each a number (0-d), or one a neuron (n,)."""

    alpha: Float
    beta: Float


def slopes(name: str, **parameters: Any) -> Slopes:
    """The slopes of an activation by its name, rounded outward; those of the real function, not of its rounding.

    An activation is continuous, so its difference quotients lie between the smallest and the largest derivative. The
    ends of GELU, SiLU and Mish are their derivatives where the second one is 0, computed to 18 digits; GELU's at ±√2.

    Args:
        name: A key of ``ACTIVATIONS``.
        parameters: ``negative_slope`` (0.01) of leaky_relu; ``weight`` of prelu, a number or one a neuron; ``alpha`` of
            elu (1), celu (1) and selu; ``gamma`` of selu; ``slope`` (1/6) of hardsigmoid (ONNX calls it alpha).

    Raises:
        ValueError: the activation is not in the table, has other parameters, or one is out of range.

    >>> slopes("leaky_relu", negative_slope=0.25)
    Slopes(alpha=array(0.25), beta=array(1.))
    >>> float(slopes("hardswish").alpha)
    -0.5
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} has no slopes in the table; it knows {', '.join(sorted(ACTIVATIONS))}")
    try:
        ends = ACTIVATIONS[name](**parameters)
    except TypeError:
        raise ValueError(f"activation {name!r} with parameters {sorted(parameters)}: it has others") from None
    alpha, beta = (np.asarray(end, dtype=np.float64) for end in ends)
    if not (np.isfinite(alpha).all() and np.isfinite(beta).all()):
        raise ValueError(f"activation {name!r} with parameters {parameters}: a slope is NaN or infinite")
    return Slopes(alpha, beta)


def activation(name: str, n: int, **parameters: Any) -> Activation:
    """The activation of n neurons with its slopes; arguments and errors as in ``slopes``.

    >>> activation("relu", 2)
    Activation(name='relu', alpha=array([0., 0.]), beta=array([1., 1.]))
    """
    found = slopes(name, **parameters)
    if found.alpha.size not in (1, n):
        raise ValueError(f"activation {name!r} with {found.alpha.size} parameters for {n} neurons")
    alpha, beta = (np.broadcast_to(end, (n,)).copy() for end in found)
    steep = name == "leaky_relu" and bool((beta > 1).any())  # chains evaluate leaky_relu with the larger slope above 0
    return Activation("steep_leaky_relu" if steep else name, alpha, beta)


def _constant(alpha: float, beta: float) -> Callable[[], tuple[float, float]]:
    return lambda: (alpha, beta)


def _leaky(negative_slope: float = 0.01) -> tuple[Any, Any]:
    return np.minimum(negative_slope, 1.0), np.maximum(negative_slope, 1.0)


def _prelu(weight: Any) -> tuple[Any, Any]:
    return _leaky(np.asarray(weight, dtype=np.float64))  # type: ignore[arg-type]


def _elu(alpha: float = 1.0) -> tuple[float, float]:
    return min(alpha, 0.0), max(alpha, 1.0)  # α eˣ below 0


def _celu(alpha: float = 1.0) -> tuple[float, float]:
    if not alpha > 0:
        raise ValueError(f"celu with alpha {alpha}; it must be above 0")
    return 0.0, 1.0  # e^(x / α) below 0


def _selu(alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> tuple[float, float]:
    if gamma < 0:
        raise ValueError(f"selu with gamma {gamma}; it must be at least 0")
    low, high = _elu(alpha)
    return float(np.nextafter(gamma * low, -inf)) if low else 0.0, float(np.nextafter(gamma * high, inf))


def _hardsigmoid(slope: float = 1 / 6) -> tuple[float, float]:
    return min(0.0, float(np.nextafter(slope, -inf))), max(0.0, float(np.nextafter(slope, inf)))


_ZERO_TO_ONE = _constant(0.0, 1.0)

ACTIVATIONS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "identity": _constant(1.0, 1.0),
    "relu": _ZERO_TO_ONE,
    "relu6": _ZERO_TO_ONE,
    "hardtanh": _ZERO_TO_ONE,  # and clamp, clip
    "leaky_relu": _leaky,
    "prelu": _prelu,
    "elu": _elu,
    "celu": _celu,
    "selu": _selu,
    "softplus": _ZERO_TO_ONE,
    "softsign": _ZERO_TO_ONE,
    "logsigmoid": _ZERO_TO_ONE,
    "tanh": _ZERO_TO_ONE,
    "sigmoid": _constant(0.0, 0.25),
    "hardsigmoid": _hardsigmoid,
    "hardswish": _constant(-0.5, 1.5),
    "gelu": _constant(-0.12890414518516, 1.12890414518516),
    "gelu_tanh": _constant(-0.12899306865878, 1.12899306865878),
    "silu": _constant(-0.09983932012887, 1.09983932012887),
    "mish": _constant(-0.11252612238947, 1.08849816125173),
    "abs": _constant(-1.0, 1.0),
}

"""Values and Jacobians of a chain at points, and how far a computed value may be from the true one."""

from __future__ import annotations

import numpy as np

from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.activation_functions import PIECEWISE, evaluated
from bench.functional.lipschitz.chain_bounds.composite import steepest
from bench.functional.lipschitz.chain_bounds.rounding import UNIT, gamma

LIBRARY = 2.0**-48  # relative error allowed to exp, tanh and erf and what is made of them: 32 units in the last place


def value(chain: DenseChain, x: Float) -> Float:
    """``f(x)`` for each x (b, n_0), shape (b, n_{l+1}), in plain float64."""
    z = x @ chain.weights[0].T + chain.biases[0]
    for weight, bias, activation in zip(chain.weights[1:], chain.biases[1:], chain.activations, strict=True):
        z = evaluated(activation, z)[0] @ weight.T + bias
    return z


def jacobian(chain: DenseChain, x: Float) -> Float:
    """The Jacobian at each x (b, n_0), shape (b, n_{l+1}, n_0); at a kink the slope from above.

    >>> jacobian(DenseChain((np.array([[2.0]]),), (np.zeros(1),), ()), np.zeros((1, 1))).tolist()
    [[[2.0]]]
    """
    z, slopes = x @ chain.weights[0].T + chain.biases[0], []
    for weight, bias, activation in zip(chain.weights[1:], chain.biases[1:], chain.activations, strict=True):
        value, slope = evaluated(activation, z)
        z = value @ weight.T + bias
        slopes.append(slope[:, None, :])
    if chain.widths[-1] <= chain.widths[0]:  # from the shorter end
        out = np.broadcast_to(chain.weights[-1], (len(x), *chain.weights[-1].shape))
        for weight, slope in zip(reversed(chain.weights[:-1]), reversed(slopes), strict=True):
            out = (out * slope) @ weight
        return out
    out = np.broadcast_to(chain.weights[0], (len(x), *chain.weights[0].shape))
    for weight, slope in zip(chain.weights[1:], slopes, strict=True):
        out = (weight * slope) @ out
    return out


def value_with_error(chain: DenseChain, x: Float) -> tuple[Float, Float]:
    """The value, and per output what the true value may differ from it by."""
    value, off = x, np.zeros_like(x)
    for number, (weight, bias) in enumerate(zip(chain.weights, chain.biases, strict=True)):
        if number:
            activation = chain.activations[number - 1]
            after = evaluated(activation, value)[0]
            library = 2 * UNIT if activation.name in PIECEWISE else LIBRARY
            off = (steepest(activation) * off + library * (np.abs(after) + np.abs(value))) * (1 + 16 * UNIT)
            value = after
        size = np.abs(weight).T
        lost = gamma(weight.shape[1] + 4) * (np.abs(value) @ size + np.abs(bias))
        value, off = value @ weight.T + bias, (off @ size + lost) * (1 + gamma(weight.shape[1] + 8))
    return value, off

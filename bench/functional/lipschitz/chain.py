"""A chain of dense layers: affine maps with slope-restricted activations between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation of n neurons: its name, and the slopes between which each neuron's difference quotients lie.

    ``alpha ≤ (φ(s) − φ(t)) / (s − t) ≤ beta`` for all s ≠ t; alpha may be negative (GELU, SiLU, Hardswish).
    """

    name: str
    alpha: Float  # (n,)
    beta: Float  # (n,)


@dataclass(frozen=True, eq=False)
class DenseChain:
    """``W_{l+1} φ_l(… φ_1(W_1 x + b_1) …) + b_{l+1}``: l hidden layers, l + 1 matrices, float64.

    Args:
        weights: W_i, (n_i, n_{i−1}) each.
        biases: b_i, (n_i,) each.
        activations: φ_i of the l hidden layers.

    Raises:
        ValueError: there is no layer, a number is not finite, or shapes do not fit.

    >>> chain = DenseChain((np.eye(2), np.ones((1, 2))), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> chain.depth, chain.widths
    (1, (2, 2, 1))
    """

    weights: tuple[Float, ...]
    biases: tuple[Float, ...]
    activations: tuple[Activation, ...]

    def __post_init__(self) -> None:
        """Refuse what is no chain."""
        if not self.weights:
            raise ValueError("a chain needs at least one layer")
        if len(self.biases) != len(self.weights) or len(self.activations) != len(self.weights) - 1:
            raise ValueError(
                f"{len(self.weights)} matrices, {len(self.biases)} biases and {len(self.activations)} activations:"
                " each matrix needs a bias, and an activation stands between each two"
            )
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            if weight.ndim != 2 or bias.shape != weight.shape[:1]:
                raise ValueError(f"layer {number}: a matrix of shape {weight.shape} and a bias of shape {bias.shape}")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ValueError(f"layer {number}: a weight is NaN or infinite")
        for number, (first, second) in enumerate(zip(self.weights, self.weights[1:], strict=False), start=1):
            shapes = {len(first), second.shape[1], *(len(end) for end in _ends(self.activations[number - 1]))}
            if len(shapes) > 1:
                raise ValueError(f"layer {number} and the one behind it do not fit: {sorted(shapes)} neurons")

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.activations)

    @property
    def widths(self) -> tuple[int, ...]:
        """The dimensions of input, hidden layers and output."""
        return (self.weights[0].shape[1], *(len(weight) for weight in self.weights))


def relu(n: int) -> Activation:
    """The ReLU of n neurons: slopes 0 to 1."""
    return Activation("relu", np.zeros(n), np.ones(n))


def _ends(activation: Activation) -> tuple[Any, Any]:
    return activation.alpha, activation.beta

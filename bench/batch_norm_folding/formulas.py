"""The weights that take a map of channels over: pure functions in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Tensor = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """A convolution or linear layer: weight (out, in / groups, ...), transposed (in, out / groups, ...); bias (out,).

    A constant that is added has a bias alone: its weight has no inputs, (out, 0).
    """

    weight: Tensor
    bias: Vector
    groups: int = 1
    transposed: bool = False

    @property
    def inputs(self) -> int:
        """The number of channels that the layer reads."""
        return int(self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups)


@dataclass(frozen=True)
class Diagonal:
    """BatchNorm in eval mode: ``y = scale x + shift`` a channel, both (channels,)."""

    scale: Vector
    shift: Vector


Affine = Linear | Diagonal


def batch_norm(gamma: Vector, beta: Vector, mean: Vector, variance: Vector, epsilon: float) -> Diagonal:
    """``s = gamma / sqrt(variance + epsilon)``, ``t = beta - mean s``.

    >>> batch_norm(*(np.array([v]) for v in (2.0, 1.0, 3.0, 4.0)), epsilon=0.0)
    Diagonal(scale=array([1.]), shift=array([-2.]))
    """
    scale = gamma / np.sqrt(variance + epsilon)
    return Diagonal(scale, beta - mean * scale)


def inverse(scale: Vector, shift: Vector) -> tuple[Vector, Vector]:
    """The map that undoes ``y = s x + t``: ``x = y / s - t / s``.

    >>> inverse(np.array([2.0]), np.array([6.0]))
    (array([0.5]), array([-3.]))
    """
    return 1.0 / scale, -shift / scale


def after(layer: Affine, scale: Vector, shift: Vector) -> Affine:
    """The layer that makes ``s y + t`` where it made y: ``W' = s_out W``, ``b' = s b + t``.

    Args:
        layer: any affine layer.
        scale: (out,).
        shift: (out,).

    >>> after(Linear(np.array([[5.0]]), np.array([7.0])), np.array([2.0]), np.array([1.0]))
    Linear(weight=array([[10.]]), bias=array([15.]), groups=1, transposed=False)
    """
    if isinstance(layer, Diagonal):
        return Diagonal(layer.scale * scale, layer.shift * scale + shift)
    weight = layer.weight
    if layer.transposed:  # the outputs of group g stand in axis 1 of the inputs of group g
        grouped = weight.reshape(layer.groups, -1, *weight.shape[1:])
        factors = scale.reshape(layer.groups, 1, -1, *[1] * (weight.ndim - 2))
        made = (grouped * factors).reshape(weight.shape)
    else:
        made = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return replace(layer, weight=made, bias=layer.bias * scale + shift)


def before(layer: Affine, scale: Vector, shift: Vector) -> Affine:
    """The layer that makes of x what it made of ``s x + t``: ``W' = W s_in``, ``b' = b + sum_ik W_oik t_i``.

    Exact where each output sees every element of its kernel: without zero padding, or for t = 0. To undo a map,
    give its ``inverse``: ``W' = W / s`` and ``b' = b - sum W t / s``, with the division in the bias too.

    Args:
        layer: any affine layer.
        scale: (in,).
        shift: (in,).

    >>> before(Linear(np.array([[5.0]]), np.array([7.0])), np.array([2.0]), np.array([1.0]))
    Linear(weight=array([[10.]]), bias=array([12.]), groups=1, transposed=False)
    """
    if isinstance(layer, Diagonal):
        return Diagonal(layer.scale * scale, layer.shift + layer.scale * shift)
    weight = layer.weight
    if layer.transposed:
        if shift.any():
            raise ValueError("the edges of a transposed convolution see a part of its kernel: it cannot take a shift")
        return replace(layer, weight=weight * scale.reshape(-1, *[1] * (weight.ndim - 1)))
    each = weight.shape[0] // layer.groups
    scales = np.repeat(scale.reshape(layer.groups, -1), each, axis=0)  # (out, in / groups)
    moved = np.repeat(shift.reshape(layer.groups, -1), each, axis=0)
    tail = [1] * (weight.ndim - 2)
    bias = layer.bias + (weight.reshape(*weight.shape[:2], -1).sum(axis=2) * moved).sum(axis=1)
    return replace(layer, weight=weight * scales.reshape(*scales.shape, *tail), bias=bias)

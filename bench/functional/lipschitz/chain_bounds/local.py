"""Bounds of a chain on a box: of its neurons those that never bend there are linear."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bench.functional.lipschitz.certificate import LipschitzBound
from bench.functional.lipschitz.chain import Activation, DenseChain, Float
from bench.functional.lipschitz.chain_bounds.activation_functions import PIECEWISE, evaluated
from bench.functional.lipschitz.chain_bounds.composite import steepest
from bench.functional.lipschitz.chain_bounds.rounding import UNIT, gamma
from bench.functional.lipschitz.regions import Box

Ends = tuple[Float, Float]


def local_chain(chain: DenseChain, box: Box) -> DenseChain:
    """The chain whose slopes hold on a box alone: any certificate of it is one of the chain there.

    Intervals of what stands before each neuron, by the interval arithmetic of affine maps and rounding outward; a ReLU
    that is never below 0 in its interval has the slope 1 alone, one that is never above it the slope 0. Difference
    quotients of two points of a box run within it, since it is convex, so slopes on the box suffice.

    Raises:
        ValueError: the box has another dimension, or a low end above its high end.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.ones((1, 2))), (np.array([1.0, -5.0]), np.zeros(1)), (relu(2),))
    >>> local = local_chain(chain, Box(np.zeros(2), np.ones(2))).activations[0]
    >>> local.alpha.tolist(), local.beta.tolist()
    ([1.0, 0.0], [1.0, 0.0])
    """
    low, high = (np.asarray(end, dtype=np.float64) for end in box)
    if low.shape != (chain.widths[0],) or high.shape != low.shape or not (low <= high).all():
        raise ValueError(f"a box with ends of shapes {low.shape} and {high.shape} for {chain.widths[0]} inputs")
    activations = []
    for weight, bias, activation in zip(chain.weights, chain.biases, chain.activations, strict=False):
        before = _affine(weight, bias, low, high)
        local = _slopes(activation, *before)
        activations.append(local)
        low, high = _after(activation, *before)
    return DenseChain(chain.weights, chain.biases, tuple(activations))


def on_box(
    chain: DenseChain,
    box: Box,
    method: Callable[[DenseChain], LipschitzBound],
    everywhere: LipschitzBound | None = None,
) -> LipschitzBound:
    """A method's bound on a box, the smaller of the local one and one that holds everywhere (ECLipsE-Gen-Local's idea).

    Source: arXiv 2510.05261 for slopes of neurons from local intervals.

    Args:
        chain: l hidden layers.
        box: where both points lie.
        method: such as ``full_diagonal``.
        everywhere: the same method's global bound, where it is known.
    """
    started = time.perf_counter()
    found = [method(local_chain(chain, box)), *([] if everywhere is None else [everywhere])]
    least = min(found, key=lambda bound: bound.value)
    return replace(least, domain="box", seconds=time.perf_counter() - started)


def _affine(weight: Float, bias: Float, low: Float, high: Float) -> Ends:
    """The interval of ``W x + b``, rounded outward."""
    middle, radius = (low + high) / 2, (high - low) / 2
    size = np.abs(weight)
    lost = gamma(weight.shape[1] + 8) * (size @ (np.abs(middle) + radius) + np.abs(bias))
    centre = weight @ middle + bias
    reach = size @ (radius + 4 * UNIT * (np.abs(low) + np.abs(high))) + lost
    return centre - reach, centre + reach


def _slopes(activation: Activation, low: Float, high: Float) -> Activation:
    """The slopes on an interval: of piecewise linear activations those that occur, of others the global ones."""
    if activation.name not in PIECEWISE:
        return activation
    on, off = low >= 0, high <= 0
    alpha = np.where(on, activation.beta, activation.alpha)
    beta = np.where(off & ~on, activation.alpha, activation.beta)
    return Activation(activation.name, np.minimum(alpha, beta), np.maximum(alpha, beta))


def _after(activation: Activation, low: Float, high: Float) -> Ends:
    """The interval of ``φ(z)``: at its ends where φ is piecewise linear and rising, else about its middle."""
    if activation.name in PIECEWISE and (activation.alpha >= 0).all():
        ends = [np.where(z >= 0, activation.beta, activation.alpha) * z for z in (low, high)]
        slack = 2 * UNIT * np.abs(ends)
        return ends[0] - slack[0], ends[1] + slack[1]

    middle = (low + high) / 2
    reach = steepest(activation) * (high - low) / 2
    value = evaluated(activation, middle)[0]
    slack = 2.0**-46 * (np.abs(value) + np.abs(middle) + reach)  # of exp, erf and tanh too
    return value - reach - slack, value + reach + slack

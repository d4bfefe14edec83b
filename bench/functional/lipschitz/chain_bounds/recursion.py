"""The certificate recursion: the one place where multipliers become a certified bound.

With slopes in [α, β] per neuron let ``m = (α + β)/2``, ``r = (β − α)/2``. Any positive scales t_1 … t_l (one number a
neuron) for which all ``I − K_i ≻ 0`` (on the neurons with r > 0) give a bound:

    P_0 = I,  A_i = diag(1/t_i) W_i diag(t_{i−1}),  K_i = A_i P_{i−1} A_iᵀ
    P_i = diag(r²) + diag(m) K_i (I − K_i)⁻¹ diag(m)
    L² = λ_max(A_{l+1} P_l A_{l+1}ᵀ),  A_{l+1} = W_{l+1} diag(t_l)

It is the block Cholesky elimination of the LipSDP matrix inequality (arXiv 1902.04675) with multipliers
``Λ_i = diag(1/(r t_i)²)``, turned inside out (``t_i P_i t_i`` is the inverse of its Schur complement X_i): only the
width of each layer is factored, and a neuron with α = β is taken exactly, as the limit of an infinite multiplier (one
with α = β = 0 drops out). α may be negative.

Why rounding cannot spoil it: P_i grows with P_{i−1} in the order ⪯, so each step may replace its matrix by a larger
one. Each product is raised by a diagonal above its rounding error, each inverse is bounded by
`rounding.inverse_factor`, and the last eigenvalue by `rounding.top_eigenvalue`; nothing is assumed of how well a
factorisation went.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bench.functional.lipschitz.certificate import LipschitzBound
from bench.functional.lipschitz.chain import Activation, DenseChain, Float
from bench.functional.lipschitz.chain_bounds.elimination import Elimination
from bench.functional.lipschitz.chain_bounds.rounding import UNIT, gamma, inverse_factor, raised, top_eigenvalue
from bench.stats.blas_threads import one_thread


def middle_and_radius(activation: Activation) -> tuple[Float, Float]:
    """Middle m and radius r per neuron: slopes lie in [m − r, m + r]; r = 0 where α = β, else up by its rounding."""
    radius = (activation.beta - activation.alpha) / 2
    up = 4 * UNIT * (np.abs(activation.alpha) + np.abs(activation.beta))
    return (activation.alpha + activation.beta) / 2, np.where(radius > 0, radius + up, 0.0)


def certified_value(chain: DenseChain, scales: Sequence[Float]) -> float | None:
    """An upper bound on the global l2 constant by these scales; None where they are not feasible.

    Args:
        chain: l hidden layers.
        scales: t_1 … t_l, (n_i,) each, positive.

    Raises:
        ValueError: number or shape of the scales does not fit, or one is not positive and finite.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.array([[2.0]]), np.array([[3.0]])), (np.zeros(1), np.zeros(1)), (relu(1),))
    >>> round(certified_value(chain, [np.array([np.sqrt(8.0)])]), 9)  # e = 2 · 2², K = ½, P = ½
    6.0
    >>> certified_value(chain, [np.array([2.0])]) is None  # K = 1
    True
    """
    found = output_gram(chain, scales)
    if found is None:
        return None
    with one_thread():
        root = math.sqrt(top_eigenvalue(found.matrix)) * (1 + 8 * UNIT) if chain.weights[-1].any() else 0.0
    return float(np.ldexp(root, found.power))


class OutputGram(NamedTuple):
    """E with ``|c · (f(x) − f(y))|² ≤ 4^power cᵀ E c ‖x − y‖²`` for every vector c of output weights."""

    matrix: Float  # (outputs, outputs)
    power: int


def output_gram(chain: DenseChain, scales: Sequence[Float]) -> OutputGram | None:
    """A matrix ⪰ ``A_{l+1} P_l A_{l+1}ᵀ``, rounding included; None where the scales are not feasible.

    Raises:
        ValueError: number or shape of the scales does not fit, or one is not positive and finite.
    """
    _check(chain, scales)
    with one_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        shape, before = np.eye(chain.widths[0]), np.ones(chain.widths[0])
        for number, (activation, scale) in enumerate(zip(chain.activations, scales, strict=True)):
            gram = gram_above(chain.weights[number], shape, before, scale, first=number == 0)
            following = shape_above(activation, gram)
            if following is None:
                return None
            shape, before = following, scale
        last = chain.weights[-1] * before
        power = math.frexp(float(np.abs(last).max(initial=0.0)))[1]
        ones = np.ones(len(last))
        end = gram_above(np.ldexp(chain.weights[-1], -power), shape, before, ones, first=chain.depth == 0)
    return OutputGram(end, power) if np.isfinite(end).all() else None


def certificate(
    chain: DenseChain, scales: Sequence[Float], method: str = "recursion", note: str = ""
) -> LipschitzBound:
    """The same as a bound; infinite, with a note, where no certificate was found.

    Scales on the edge of what is feasible are eased first: all t² grow by a part in 10⁹, 10⁸ … 10, whichever is the
    first to pass. That keeps each K_i below the former, and costs at most the same part of L².
    """
    started = time.perf_counter()
    value, slack, eased = None, 0.0, list(scales)
    for eased in eased_scales(scales):
        value = certified_value(chain, eased)
        if value is not None:
            break
    if value is None:
        value, note = math.inf, "; ".join(filter(None, (note, "the multipliers are not feasible")))
    elif value > 0:
        slack = _slack(chain, eased, value)
    return LipschitzBound(method, "certified", value, slack=slack, seconds=time.perf_counter() - started, note=note)


def eased_scales(scales: Sequence[Float]) -> Iterator[list[Float]]:
    """The scales themselves, then all t² grown by a part in 10⁹, 10⁸ … 10."""
    yield list(scales)
    for power in range(-9, 0):
        yield [scale * (1 + 10.0**power) ** 0.5 for scale in scales]


def _slack(chain: DenseChain, scales: Sequence[Float], value: float) -> float:
    """What rounding has added: the certified value beside the one in plain float64."""
    with one_thread(), np.errstate(all="ignore"):
        plain = Elimination(chain)(np.log(np.concatenate([np.ones(0), *scales])))[0]
    return max(0.0, math.expm1(math.log(value) - plain)) if math.isfinite(plain) else 0.0


def gram_above(weight: Float, shape: Float, before: Float, after: Float, *, first: bool) -> Float:
    """A matrix ⪰ ``diag(1/after) W diag(before) P diag(before) Wᵀ diag(1/after)``."""
    scaled = weight * before / after[:, None]
    size = np.abs(scaled)
    if first:  # P = I
        inner, reach = scaled @ scaled.T, size.sum(axis=0)
    else:
        inner, reach = scaled @ shape @ scaled.T, np.abs(shape) @ size.sum(axis=0)
    return raised(inner, gamma(2 * weight.shape[1] + 12) * (size @ reach))


def shape_above(activation: Activation, gram: Float) -> Float | None:
    """A matrix ⪰ ``diag(r²) + diag(m) (K + K_S (I − K_SS)⁻¹ K_Sᵀ) diag(m)``, S the neurons with r > 0."""
    middle, radius = middle_and_radius(activation)
    bent = np.flatnonzero(activation.beta != activation.alpha)
    columns = gram[:, bent]
    gap = -gram[np.ix_(bent, bent)]
    np.fill_diagonal(gap, 1 + np.diagonal(gap) - 4 * UNIT)
    found = inverse_factor(gap) if len(bent) else (np.zeros((0, 0)), 1.0)
    if found is None:
        return None
    inverse, factor = found
    half = inverse @ columns.T
    inner = middle[:, None] * (gram + factor * (half.T @ half)) * middle
    np.fill_diagonal(inner, np.diagonal(inner) + radius**2)
    wide = np.abs(middle)
    span, size = np.abs(columns), np.abs(inverse)
    reach = np.abs(gram) @ wide + factor * (span @ (size.T @ (size @ (span.T @ wide))))
    error = wide * reach + radius**2 + np.abs(middle) ** 2 * np.abs(np.diagonal(gram))
    return raised(inner, gamma(3 * len(gram) + 16) * error)


def _check(chain: DenseChain, scales: Sequence[Float]) -> None:
    if len(scales) != chain.depth:
        raise ValueError(f"{len(scales)} vectors of scales for {chain.depth} hidden layers: give one a hidden layer")
    for number, (scale, activation) in enumerate(zip(scales, chain.activations, strict=True), start=1):
        if np.shape(scale) != activation.alpha.shape:
            raise ValueError(
                f"hidden layer {number}: scales of shape {np.shape(scale)} for {len(activation.alpha)} neurons"
            )
        if not (np.isfinite(scale).all() and (np.asarray(scale) > 0).all()):
            raise ValueError(f"hidden layer {number}: scales must be positive and finite")

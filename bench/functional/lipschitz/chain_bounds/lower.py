"""Lower bounds by secants: two points, the difference quotient there, less what rounding may have added."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.chain_values import jacobian, value, value_with_error
from bench.functional.lipschitz.chain_bounds.rounding import UNIT, gamma
from bench.stats.blas_threads import one_thread
from bench.stats.streams import generator


class Box(NamedTuple):
    """The inputs between two corners, (n_0,) each."""

    low: Float
    high: Float


def secant(
    chain: DenseChain,
    norm: Norm = "l2",
    *,
    box: Box | None = None,
    starts: int = 64,
    iterations: int = 100,
    seed: int = 0,
    spread: float = 3.0,
) -> LipschitzBound:
    """A lower bound on the constant: the largest ``‖f(x) − f(y)‖/‖x − y‖`` over pairs that climb its gradient.

    Pairs start along the steepest direction of the Jacobian at random x (normal with deviations up to ``spread``, or
    uniform in the box) and take steps that double where the quotient grew and halve where it fell. The quotient is
    taken once more at the best pair, with a running error bound of both values subtracted.

    Args:
        chain: activations of a known name (`activation_functions.evaluated`).
        norm: of inputs and outputs.
        box: where x and y must lie; everywhere without one.
        starts: pairs.
        iterations: steps of each.
        seed: words of the generator that draws the starts.
        spread: the largest standard deviation of starts without a box.

    Raises:
        ValueError: an activation has no function of its name.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.array([[3.0, -4.0]])), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> round(secant(chain).value, 6)
    5.0
    """
    started = time.perf_counter()
    with one_thread():
        x, y = _starts(chain, norm, box, starts, generator("lipschitz-secant", seed), spread)
        x, y = _climb(chain, norm, box, x, y, iterations)
        found = float(_quotients(chain, norm, x, y).max(initial=0.0))
    return LipschitzBound(
        "secant", "lower", found, norm, "global" if box is None else "box", seconds=time.perf_counter() - started
    )


def _starts(
    chain: DenseChain, norm: Norm, box: Box | None, starts: int, random: np.random.Generator, spread: float
) -> tuple[Float, Float]:
    shape = (starts, chain.widths[0])
    if box is None:
        x = random.normal(size=shape) * spread * random.random((starts, 1))
        length = 0.1 * (1 + np.abs(x).max(axis=1, keepdims=True)) * random.random((starts, 1))
    else:
        x = random.uniform(box.low, box.high, shape)
        length = 0.1 * float(np.max(box.high - box.low)) * random.random((starts, 1))
    along = jacobian(chain, x)
    if norm == "l2":
        direction = np.linalg.svd(along, full_matrices=False)[2][:, 0]
    else:
        direction = np.sign(along[np.arange(starts), np.abs(along).sum(axis=2).argmax(axis=1)])
    return _within(box, x - length * direction), _within(box, x + length * direction)


def _climb(chain: DenseChain, norm: Norm, box: Box | None, x: Float, y: Float, iterations: int) -> tuple[Float, Float]:
    best, steps = _plain(chain, norm, x, y), np.full((len(x), 1), 0.1)
    for _ in range(iterations):
        to_x, to_y = _gradients(chain, norm, x, y)
        length = np.linalg.norm(x - y, axis=1, keepdims=True)
        size = np.sqrt((to_x**2).sum(axis=1, keepdims=True) + (to_y**2).sum(axis=1, keepdims=True))
        reach = steps * length / np.where(size > 0, size, 1)
        there = _within(box, x + reach * to_x), _within(box, y + reach * to_y)
        quotient = _plain(chain, norm, *there)
        up = quotient > best
        x, y = np.where(up[:, None], there[0], x), np.where(up[:, None], there[1], y)
        best, steps = np.where(up, quotient, best), np.where(up[:, None], 2 * steps, steps / 2)
    return x, y


def _gradients(chain: DenseChain, norm: Norm, x: Float, y: Float) -> tuple[Float, Float]:
    """Of ``log ‖f(x) − f(y)‖ − log ‖x − y‖``."""
    rise, run = value(chain, x) - value(chain, y), x - y
    up, down = _dual(norm, rise), _dual(norm, run)
    return (
        np.einsum("bo,boi->bi", up, jacobian(chain, x)) - down,
        down - np.einsum("bo,boi->bi", up, jacobian(chain, y)),
    )


def _dual(norm: Norm, vectors: Float) -> Float:
    """The gradient of the norm's logarithm."""
    size = np.linalg.norm(vectors, axis=1, ord=2 if norm == "l2" else np.inf)[:, None]
    size = np.where(size > 0, size, 1)
    if norm == "l2":
        out: Float = vectors / size**2
        return out
    magnitudes = np.abs(vectors)
    tied = magnitudes >= (1 - 1e-12) * magnitudes.max(axis=1, keepdims=True)
    spread: Float = np.sign(vectors) * tied / tied.sum(axis=1, keepdims=True) / size
    return spread


def _within(box: Box | None, x: Float) -> Float:
    return x if box is None else np.clip(x, box.low, box.high)


def _plain(chain: DenseChain, norm: Norm, x: Float, y: Float) -> Float:
    order = 2 if norm == "l2" else np.inf
    run = np.linalg.norm(x - y, axis=1, ord=order)
    rise = np.linalg.norm(value(chain, x) - value(chain, y), axis=1, ord=order)
    return np.where(run > 0, rise / np.where(run > 0, run, 1), 0.0)


def _quotients(chain: DenseChain, norm: Norm, x: Float, y: Float) -> Float:
    """Difference quotients, each at most the true one: values lie within their running error bounds."""
    (first, off), (second, off_too) = value_with_error(chain, x), value_with_error(chain, y)
    order = 2 if norm == "l2" else np.inf
    rise = np.linalg.norm(np.maximum(np.abs(first - second) * (1 - 4 * UNIT) - off - off_too, 0), axis=1, ord=order)
    run = np.linalg.norm(x - y, axis=1, ord=order)
    whole = rise / np.where(run > 0, run, 1) * (1 - gamma(2 * sum(x.shape[1:]) + 2 * first.shape[1] + 12))
    return np.where((run > 0) & np.isfinite(whole), whole, 0.0)

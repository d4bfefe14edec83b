"""Lower bounds by secants: two points, the difference quotient there, less what rounding may have added."""

from __future__ import annotations

import time

import numpy as np

from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.chain_values import jacobian, value, value_with_error
from bench.functional.lipschitz.chain_bounds.rounding import UNIT, gamma
from bench.functional.lipschitz.regions import Box
from bench.stats.blas_threads import one_thread
from bench.stats.streams import generator

SCREENED = 64  # points that are looked at for each pair that starts
ENTRIES = 4_000_000  # of their Jacobians, at most


def secant(
    chain: DenseChain,
    norm: Norm = "l2",
    *,
    box: Box | None = None,
    starts: int = 64,
    iterations: int = 100,
    seed: int = 0,
    spread: float = 10.0,
) -> LipschitzBound:
    """A lower bound on the constant: the largest ``‖f(x) − f(y)‖/‖x − y‖`` over pairs that climb its gradient.

    The steepest of many random points (normal with deviations from a thousandth of ``spread`` to a thousand times it,
    or uniform in the box) take random steps that are kept where the Jacobian grows. Then each becomes a very short and
    a longer pair along its steepest direction; a pair climbs the gradient of its quotient, with steps that double where
    it grew and halve where it fell, or shrinks to its steeper half. Each quotient that decides is less a running
    error bound of both values.

    Args:
        chain: activations of a known name (`activation_functions.evaluated`).
        norm: of inputs and outputs.
        box: where x and y must lie; everywhere without one.
        starts: points that walk.
        iterations: steps of each, and of each pair at most.
        seed: words of the generator that draws the starts.
        spread: the middle standard deviation of points without a box.

    Raises:
        ValueError: an activation has no function of its name.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.array([[3.0, -4.0]])), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> round(secant(chain).value, 6)
    5.0
    """
    started = time.perf_counter()
    with one_thread():
        random = generator("lipschitz-secant", seed)
        points, size = _screened(chain, norm, box, starts, random, spread)
        points = _walk(chain, norm, box, points, size, random, iterations)
        short = _pairs(chain, norm, box, points, 1e-6 * size)
        long = _pairs(chain, norm, box, points, size * 10.0 ** random.uniform(-3, 0, size=size.shape))
        x, y = (np.concatenate(both) for both in zip(short, long, strict=True))
        x, y = _climb(chain, norm, box, x, y, iterations)
        found = float(_quotients(chain, norm, x, y).max(initial=0.0))
    return LipschitzBound(
        "secant", "lower", found, norm, "global" if box is None else "box", seconds=time.perf_counter() - started
    )


def _screened(
    chain: DenseChain, norm: Norm, box: Box | None, starts: int, random: np.random.Generator, spread: float
) -> tuple[Float, Float]:
    """The steepest of many random points, and the size of the neighbourhood each was drawn from."""
    each = min(chain.widths[0], chain.widths[-1]) * max(chain.widths)
    many = int(np.clip(ENTRIES // each, starts, SCREENED * starts))
    shape = (many, chain.widths[0])
    if box is None:
        size = spread * 10.0 ** random.uniform(-3, 3, size=(many, 1))
        x = size * random.normal(size=shape)
    else:
        size, x = np.full((many, 1), float(np.max(box.high - box.low))), random.uniform(box.low, box.high, shape)
    steepest = np.argsort(-_steepness(norm, jacobian(chain, x)), kind="stable")[:starts]
    return x[steepest], size[steepest]


def _walk(
    chain: DenseChain, norm: Norm, box: Box | None, x: Float, size: Float, random: np.random.Generator, iterations: int
) -> Float:
    """Points after random steps of all lengths, each kept where the Jacobian got larger."""
    best = _steepness(norm, jacobian(chain, x))
    for _ in range(iterations):
        there = _within(box, x + size * 10.0 ** random.uniform(-4, 0.5, size=(len(x), 1)) * random.normal(size=x.shape))
        steepness = _steepness(norm, jacobian(chain, there))
        up = steepness > best
        x, best = np.where(up[:, None], there, x), np.where(up, steepness, best)
    return x


def _steepness(norm: Norm, along: Float) -> Float:
    """The norm of each Jacobian (b, n_{l+1}, n_0)."""
    if norm == "linf":
        rows: Float = np.abs(along).sum(axis=2).max(axis=1)
        return rows
    turned = along.swapaxes(1, 2)
    gram = along @ turned if along.shape[1] <= along.shape[2] else turned @ along
    largest: Float = np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[:, -1], 0))
    return largest


def _pairs(chain: DenseChain, norm: Norm, box: Box | None, x: Float, length: Float) -> tuple[Float, Float]:
    """Pairs about x along the steepest direction there."""
    along = jacobian(chain, x)
    if norm == "l2":
        direction = np.linalg.svd(along, full_matrices=False)[2][:, 0]
    else:
        direction = np.sign(along[np.arange(len(x)), np.abs(along).sum(axis=2).argmax(axis=1)])
    return _within(box, x - length * direction), _within(box, x + length * direction)


def _climb(chain: DenseChain, norm: Norm, box: Box | None, x: Float, y: Float, iterations: int) -> tuple[Float, Float]:
    best, steps = _quotients(chain, norm, x, y), np.full((len(x), 1), 0.1)
    for _ in range(iterations):
        to_x, to_y = _gradients(chain, norm, x, y)
        length = np.linalg.norm(x - y, axis=1, keepdims=True)
        size = np.sqrt((to_x**2).sum(axis=1, keepdims=True) + (to_y**2).sum(axis=1, keepdims=True))
        reach = steps * length / np.where(size > 0, size, 1)
        there = _within(box, x + reach * to_x), _within(box, y + reach * to_y)
        climbed = _quotients(chain, norm, *there) > best
        middle = (x + y) / 2  # one half of a pair is as steep as the whole, or steeper
        before = best
        for pair in (there, (x, middle), (middle, y)):
            quotient = _quotients(chain, norm, *pair)
            up = quotient > best * (1 + 1e-9)
            x, y = np.where(up[:, None], pair[0], x), np.where(up[:, None], pair[1], y)
            best = np.where(up, quotient, best)
        steps = np.where(climbed[:, None], 2 * steps, steps / 2)
        if (best == before).all() and (steps < 1e-6).all():
            break
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


def _quotients(chain: DenseChain, norm: Norm, x: Float, y: Float) -> Float:
    """Difference quotients, each at most the true one: values lie within their running error bounds."""
    (first, off), (second, off_too) = value_with_error(chain, x), value_with_error(chain, y)
    order = 2 if norm == "l2" else np.inf
    rise = np.linalg.norm(np.maximum(np.abs(first - second) * (1 - 4 * UNIT) - off - off_too, 0), axis=1, ord=order)
    run = np.linalg.norm(x - y, axis=1, ord=order)
    whole = rise / np.where(run > 0, run, 1) * (1 - gamma(2 * sum(x.shape[1:]) + 2 * first.shape[1] + 12))
    return np.where((run > 0) & np.isfinite(whole), whole, 0.0)

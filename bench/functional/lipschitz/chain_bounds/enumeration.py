"""All activation regions of a small ReLU chain: its constant itself, as an oracle for bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from scipy.optimize import linprog

from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.composite import Composite
from bench.functional.lipschitz.regions import Box

THINNEST = 1e-7  # radius of the ball that must fit into a region
LARGEST = 20  # ReLUs
TOLERANCE = 1e-10  # of the linear programs

Ends: TypeAlias = list[tuple[float | None, float | None]]  # of each input


def regions(chain: DenseChain, box: Box | None = None) -> Iterator[tuple[Float, ...]]:
    """Yield each full-dimensional activation region's pattern: 0 or 1 per neuron, one array a hidden layer.

    Neuron by neuron, a linear program asks for the largest ball on each side of its hyperplane within the region so
    far; a side in which no ball of radius 1e-7 fits is left out.

    Raises:
        ValueError: an activation is not ReLU, or there are more than 20 of them.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.ones((1, 2))), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> len([*regions(chain)])
    4
    """
    if any(a.name != "relu" or a.alpha.any() or (a.beta != 1).any() for a in chain.activations):
        raise ValueError(f"activations {sorted({a.name for a in chain.activations})}: only ReLU chains are enumerated")
    count = sum(chain.widths[1:-1])
    if count > LARGEST:
        raise ValueError(f"{count} ReLUs: at most {LARGEST} are enumerated")
    dimension = chain.widths[0]
    ends: Ends = [(None, None)] * dimension if box is None else [*zip(box.low, box.high, strict=True)]
    yield from _layer(chain, ends, (), [], np.eye(dimension), np.zeros(dimension))


def constant(chain: DenseChain, norm: Norm = "l2", box: Box | None = None) -> LipschitzBound:
    """The Lipschitz constant of a small ReLU chain, over everything or over a box: the largest norm over all regions.

    It is a lower bound up to rounding, and the constant unless a region thinner than 1e-7 has a larger norm.

    Raises:
        ValueError: as `regions`.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.array([[3.0, -4.0]])), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> round(constant(chain).value, 9), round(constant(chain, "linf").value, 9)
    (5.0, 7.0)
    """
    started = time.perf_counter()
    value, count = 0.0, 0
    for pattern in regions(chain, box):
        value, count = max(value, _matrix(chain, pattern).lower(norm)), count + 1
    note = f"the constant, unless one of the regions thinner than {THINNEST:g} exceeds it; {count} regions"
    domain = "global" if box is None else "box"
    seconds = time.perf_counter() - started
    return LipschitzBound("enumeration", "lower", value, norm, domain, seconds=seconds, note=note)


def _matrix(chain: DenseChain, pattern: tuple[Float, ...]) -> Composite:
    out = Composite.of(chain.weights[0])
    for weight, active in zip(chain.weights[1:], pattern, strict=True):
        out = out.then(weight * active)
    return out


def _layer(
    chain: DenseChain, ends: Ends, pattern: tuple[Float, ...], rows: list[Float], matrix: Float, offset: Float
) -> Iterator[tuple[Float, ...]]:
    """Regions below one pattern of the layers so far; ``rows`` are its half-spaces ``a x + c ≥ 0``, |a| = 1."""
    number = len(pattern)
    if number == chain.depth:
        yield pattern
        return
    weight = chain.weights[number]
    matrix, offset = weight @ matrix, weight @ offset + chain.biases[number]
    for active, inside in _neurons(matrix, offset, ends, rows, ()):
        signs = np.array(active)
        yield from _layer(chain, ends, (*pattern, signs), inside, signs[:, None] * matrix, signs * offset)


def _neurons(
    matrix: Float, offset: Float, ends: Ends, rows: list[Float], active: tuple[float, ...]
) -> Iterator[tuple[tuple[float, ...], list[Float]]]:
    if len(active) == len(matrix):
        yield active, rows
        return
    direction, level = matrix[len(active)], offset[len(active)]
    length = float(np.linalg.norm(direction))
    if length == 0:
        yield from _neurons(matrix, offset, ends, rows, (*active, float(level > 0)))
        return
    row = np.append(direction, level) / length
    for sign, on in ((1.0, 1.0), (-1.0, 0.0)):
        inside = [*rows, sign * row]
        if _radius(inside, ends) > THINNEST:
            yield from _neurons(matrix, offset, ends, inside, (*active, on))


def _radius(rows: list[Float], ends: Ends) -> float:
    """The largest radius, up to 1, of a ball within half-spaces and, with its centre, within a box."""
    stacked = np.array(rows)
    found = linprog(
        np.append(np.zeros(stacked.shape[1] - 1), -1.0),
        A_ub=np.hstack([-stacked[:, :-1], np.ones((len(stacked), 1))]),
        b_ub=stacked[:, -1],
        bounds=[*ends, (None, 1.0)],
        method="highs",
        options={"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE},
    )
    return -float(found.fun) if found.success else -np.inf

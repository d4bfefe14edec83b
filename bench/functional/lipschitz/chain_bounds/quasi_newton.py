"""L-BFGS for functions with edges: infinite outside a domain, and kinks where eigenvalues cross."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from bench.functional.lipschitz.chain import Float

Objective: TypeAlias = Callable[[Float], tuple[float, Float]]
MEMORY = 20


class Iterate(NamedTuple):
    """A point that is lower than the one before, its value and its gradient."""

    point: Float
    value: float
    gradient: Float


def minimise(objective: Objective, start: Float) -> Iterator[Iterate]:
    """Yield the start, then each lower point, until no step along the descent direction lowers the value.

    The line search is the weak-Wolfe bisection of Lewis and Overton (2013, Nonsmooth optimization via quasi-Newton
    methods): an infinite value counts as too long a step, so iterates stay inside the domain. No randomness.

    >>> [*minimise(lambda x: (float(x @ x), 2 * x), np.array([3.0, 1.0]))][-1].value
    0.0
    """
    value, gradient = objective(start)
    here = Iterate(start, value, gradient)
    pairs: deque[tuple[Float, Float]] = deque(maxlen=MEMORY)
    yield here
    while np.isfinite(here.value) and here.gradient.any():
        direction = _direction(here.gradient, pairs)
        if direction @ here.gradient >= 0:
            pairs.clear()
            direction = -here.gradient
        there = _line_search(objective, here, direction, 1.0 if pairs else _first(here.gradient))
        if there is None:
            if not pairs:
                return
            pairs.clear()  # once more along the gradient
            continue
        change = there.point - here.point, there.gradient - here.gradient
        if change[0] @ change[1] > 0:
            pairs.append(change)
        here = there
        yield here


def _first(gradient: Float) -> float:
    return min(1.0, 0.1 / float(np.abs(gradient).max()))


def _direction(gradient: Float, pairs: deque[tuple[Float, Float]]) -> Float:
    """The two-loop product of the inverse Hessian's estimate with minus the gradient."""
    out, kept = -gradient, []
    for step, change in reversed(pairs):
        weight = (step @ out) / (step @ change)
        kept.append(weight)
        out = out - weight * change
    if pairs:
        step, change = pairs[-1]
        out = out * ((step @ change) / (change @ change))
    for (step, change), weight in zip(pairs, reversed(kept), strict=True):
        out = out + step * (weight - (change @ out) / (step @ change))
    return out


def _line_search(objective: Objective, here: Iterate, direction: Float, length: float) -> Iterate | None:
    slope = float(direction @ here.gradient)
    low, high, found = 0.0, np.inf, None
    for _ in range(30):
        point = here.point + length * direction
        value, gradient = objective(point)
        if not value <= here.value + 1e-4 * length * slope:
            high = length
        else:
            if value < here.value:
                found = Iterate(point, value, gradient)
            if gradient @ direction >= 0.9 * slope:
                break
            low = length
        length = 2 * low if np.isinf(high) else (low + high) / 2
    return found

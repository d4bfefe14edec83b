"""Where attacks begin: a random place in the ball, each sample's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.attacks.base import Asked


def uniform_starts(asked: Asked, name: str) -> NDArray[np.float32]:
    """Displacements (n, ...) uniform in the ball of radius 1 of the norm, keyed by sample and round.

    In l2 ``u^{1/d} g / ‖g‖`` with g normal and u uniform.
    """
    shape = asked.x.shape[1:]
    drawn = np.empty(asked.x.shape, dtype=np.float32)
    for row, own in enumerate(asked.generators(name, asked.round)):
        if asked.norm == "linf":
            drawn[row] = own.uniform(-1.0, 1.0, shape)
        else:
            direction = own.standard_normal(shape)
            radius = own.uniform() ** (1.0 / direction.size)
            drawn[row] = radius * direction / np.linalg.norm(direction)
    return drawn

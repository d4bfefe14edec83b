"""Products of many matrices with what rounding may have done to them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.chain import Activation, Float
from bench.functional.lipschitz.chain_bounds.rounding import UNDERFLOW, UNIT, gamma, row_sum_norm, spectral_norm


@dataclass(frozen=True, eq=False)
class Composite:
    """``F_k … F_1`` as computed, and the row sums of ``|F_k| … |F_1|``, which bound its rounding error.

    >>> product = Composite.of(np.array([[3.0, 0.0]])).then(np.array([[2.0]]))
    >>> round(product.upper("l2"), 9), round(product.lower("linf"), 9)
    (6.0, 6.0)
    """

    matrix: Float  # (p, q)
    rows: Float  # (p,)
    roundings: int

    @classmethod
    def of(cls, matrix: Float) -> Composite:
        """One factor; up to four roundings in each of its entries are allowed for."""
        return cls(matrix, np.abs(matrix).sum(axis=1), 4)

    def then(self, factor: Float) -> Composite:
        """Apply one more factor from the left; up to four roundings in its entries too."""
        return Composite(factor @ self.matrix, np.abs(factor) @ self.rows, self.roundings + len(self.rows) + 4)

    def error(self, norm: Norm) -> float:
        """How far the true product may be: ``γ ‖|F_k| … |F_1|‖∞``, times √p in l2."""
        largest = gamma(self.roundings) * float(self.rows.max(initial=0.0)) * (1 + gamma(self.roundings)) + UNDERFLOW
        return largest if norm == "linf" else largest * math.sqrt(len(self.rows)) * (1 + 4 * UNIT)

    def upper(self, norm: Norm) -> float:
        """An upper end of the norm of the true product."""
        end = spectral_norm if norm == "l2" else row_sum_norm
        return end(self.matrix, self.error(norm))

    def lower(self, norm: Norm) -> float:
        """A lower end of the norm of the true product: one vector's image is at hand."""
        if norm == "linf":
            found = float(np.abs(self.matrix).sum(axis=1).max(initial=0.0))
        else:
            size = float(np.abs(self.matrix).max(initial=0.0)) or 1.0
            vector = np.linalg.svd(self.matrix / size, full_matrices=False)[2][0]
            found = size * float(np.linalg.norm(self.matrix / size @ vector) / np.linalg.norm(vector))
        return max(0.0, found * (1 - gamma(2 * self.matrix.shape[1] + 12)) - self.error(norm))


def steepest(activation: Activation) -> Float:
    """The largest magnitude of a slope, per neuron."""
    return np.maximum(np.abs(activation.alpha), np.abs(activation.beta))

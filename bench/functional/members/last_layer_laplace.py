"""Gaussian posterior of a linear classifier on fixed features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.stats.streams import generator

Float = NDArray[np.float64]
ROWS: Final = 4096  # at a time: a part of the last bits


def gauss_newton(features: NDArray[Any], probabilities: NDArray[Any]) -> Float:
    """``Σ_n (diag(p_n) − p_n p_nᵀ) ⊗ φ_n φ_nᵀ`` of features (n, F) and probabilities (n, C): (C F, C F).

    Class by class. Of a linear layer under the cross entropy this is the Hessian of the summed loss, whatever the
    labels.

    >>> gauss_newton(np.array([[2.0]]), np.array([[0.5, 0.5]])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    phi, p = np.asarray(features, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    wide, classes = phi.shape[1], p.shape[1]
    found = np.zeros((classes, wide, classes, wide))
    for start in range(0, len(phi), ROWS):
        rows, shares = phi[start : start + ROWS], p[start : start + ROWS]
        for first in range(classes):
            for second in range(first, classes):
                weight = shares[:, first] * (float(first == second) - shares[:, second])
                block = (rows * weight[:, None]).T @ rows
                found[first, :, second] += block
                if second > first:
                    found[second, :, first] += block
    return found.reshape(classes * wide, classes * wide)


@dataclass(frozen=True)
class Laplace:
    """``N(mean, (H + precision I)⁻¹)`` with the eigenvalues and eigenvectors of H = V diag(eigenvalues) Vᵀ."""

    mean: Float
    eigenvalues: Float
    eigenvectors: Float
    precision: float

    def covariance(self) -> Float:
        """The posterior covariance (d, d).

        >>> Laplace(np.zeros(2), np.array([1.0, 3.0]), np.eye(2), 1.0).covariance().tolist()
        [[0.5, 0.0], [0.0, 0.25]]
        """
        return np.asarray((self.eigenvectors / (self.eigenvalues + self.precision)) @ self.eigenvectors.T)

    def samples(self, count: int, *words: str | int) -> Float:
        """Points (count, d), drawn by the generator of these words.

        >>> sure = Laplace(np.array([3.0]), np.array([np.inf]), np.eye(1), 1.0)
        >>> sure.samples(1, "any").tolist()
        [[3.0]]
        """
        drawn = generator("laplace", *words).standard_normal((count, len(self.mean)))
        return np.asarray(self.mean + (drawn / np.sqrt(self.eigenvalues + self.precision)) @ self.eigenvectors.T)


def laplace(mean: NDArray[Any], hessian: NDArray[Any], precisions: NDArray[Any]) -> Laplace:
    """The posterior whose prior precision has the highest marginal likelihood of those given (MacKay 1992).

    ``log Z(τ) = const + ½ d log τ − ½ τ ‖mean‖² − ½ log det(H + τ I)``, prior N(0, I / τ), the mean taken for the mode.
    The first of equal ones.

    >>> found = laplace(np.array([1.0]), np.array([[0.0]]), np.array([0.5, 2.0]))  # −½ τ alone: the smaller
    >>> found.precision, found.covariance().tolist()
    (0.5, [[2.0]])
    """
    theta, grid = np.asarray(mean, dtype=np.float64), np.asarray(precisions, dtype=np.float64)
    eigenvalues, eigenvectors = np.linalg.eigh(np.asarray(hessian, dtype=np.float64))
    eigenvalues = eigenvalues.clip(min=0.0)  # what rounding left below
    log_det = np.log(eigenvalues[None, :] + grid[:, None]).sum(axis=1)
    evidence = 0.5 * (len(theta) * np.log(grid) - grid * float(theta @ theta) - log_det)
    return Laplace(theta, eigenvalues, eigenvectors, float(grid[int(evidence.argmax())]))

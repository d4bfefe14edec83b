"""Further calibration errors, and what a Brier score is made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.functional.calibration import bin_sums, equal_mass_edges

Float = NDArray[np.float64]

CELLS = 1024  # of the unit interval, for convolution
STEPS = 30  # halvings of [0, 1]: 1e-9


class BrierDecomposition(NamedTuple):
    """Parts of the mean (confidence − correct)²: ``reliability − resolution + uncertainty + within_bins``."""

    reliability: float  # lower is better; signed, since it is without bias
    resolution: float  # higher is better
    uncertainty: float  # of right and wrong: depends on the accuracy alone
    within_bins: float  # what bins leave out
    score: float


class ReliabilityDiagram(NamedTuple):
    """Bins with samples, by rising confidence."""

    confidence: list[float]  # mean of the bin
    accuracy: list[float]
    samples: list[int]


def _table(
    confidence: Float, correct: NDArray[Any], weights: NDArray[Any], bins: int
) -> tuple[Float, Float, Float, Float]:
    """Per draw and bin of equal mass: weight, mean confidence, accuracy, variance of that accuracy; (B, bins) each."""
    mass, confident, right = bin_sums(confidence, correct, equal_mass_edges(confidence, bins), weights, right=True)
    safe = np.where(mass > 0, mass, 1.0)
    accuracy = right / safe
    return mass, confident / safe, accuracy, accuracy * (1.0 - accuracy) / np.maximum(mass - 1.0, 1.0)


def equal_mass_calibration_error(
    confidence: Float, correct: NDArray[Any], weights: NDArray[Any], bins: int = 15
) -> Float:
    """Plug-in calibration error in bins of equal mass under every row of weights (B, n): (B,), 0 to 1, lower is better.

    ``Σ_b n_b/N |c_b − a_b|``; equal confidences stay in one bin, and bins stay fixed over draws (Nguyen & O'Connor
    2015, arXiv 1508.05154). Biased upwards: above 0 even for a calibrated network.

    >>> equal_mass_calibration_error(np.array([0.6, 0.6]), np.array([1, 0]), np.ones((1, 2))).round(6).tolist()
    [0.1]
    """
    mass, confident, accuracy, _ = _table(confidence, correct, weights, bins)
    return np.asarray((mass * np.abs(confident - accuracy)).sum(axis=1) / mass.sum(axis=1))


def classwise_calibration_error(
    log_p: Float, labels: NDArray[np.int64], weights: NDArray[Any], bins: int = 15
) -> Float:
    """Classwise plug-in calibration error under every row of weights (B, n): (B,), from 0 to 1, lower is better.

    ``1/K Σ_c Σ_b n_bc/N |p_bc − y_bc|``: of class c's probability, in bins of equal width, each open at its lower end,
    beside how often c is the label; mean over the K classes (Kull et al. 2019, arXiv 1910.12656). Biased upwards, and
    smaller with more classes, since most probabilities are near 0.

    >>> half = np.log([[0.6, 0.4], [0.6, 0.4]])
    >>> classwise_calibration_error(half, np.array([0, 1]), np.ones((1, 2))).round(6).tolist()
    [0.1]
    """
    edges, total = np.linspace(0.0, 1.0, bins + 1)[1:-1], np.zeros(len(weights))
    for c, p in enumerate(np.exp(log_p).T):
        mass, expected, observed = bin_sums(np.ascontiguousarray(p), labels == c, edges, weights, right=False)
        total += np.abs(expected - observed).sum(axis=1) / mass.sum(axis=1)
    return np.asarray(total / log_p.shape[1])


def resolution(confidence: Float, correct: NDArray[Any], weights: NDArray[Any], bins: int = 15) -> Float:
    """How far confidence tells right from wrong, under every row of weights (B, n): (B,), higher is better.

    ``Σ_b n_b/N [(a_b − a)² − a_b (1 − a_b)/(n_b − 1)] + a (1 − a)/(N − 1)``, a_b the accuracy of a bin of equal mass, a
    that of all: without bias (Ferro & Fricker 2012, doi 10.1002/qj.1924), so it may lie below 0; at most a (1 − a).
    Beside it stand the reliability, ``debiased_squared_calibration_error``, and the uncertainty: see
    ``brier_decomposition``.

    >>> confidence, correct = np.array([0.9, 0.9, 0.5, 0.5]), np.array([1, 1, 0, 0])
    >>> resolution(confidence, correct, np.ones((1, 4)), bins=2).round(6).tolist()  # 1/4 + 1/12
    [0.333333]
    """
    mass, _, accuracy, variance = _table(confidence, correct, weights, bins)
    total = mass.sum(axis=1)
    overall = (mass * accuracy).sum(axis=1) / total
    spread = (mass * ((accuracy - overall[:, None]) ** 2 - variance)).sum(axis=1) / total
    return np.asarray(spread + overall * (1.0 - overall) / np.maximum(total - 1.0, 1.0))


def brier_decomposition(confidence: Float, correct: NDArray[Any], bins: int = 15) -> BrierDecomposition:
    """The parts of the top-label Brier score, mean (confidence − correct)², which they sum to exactly.

    ``REL − RES + UNC + WBV − 2 WBC`` over bins of equal mass (Murphy 1973, doi
    10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2), the first three without bias (Ferro & Fricker 2012, doi
    10.1002/qj.1924), and the variance of confidences and their covariance with right answers within bins (Stephenson
    et al. 2008, doi 10.1175/2007WAF2006116.1). REL is ``debiased_squared_calibration_error``.

    >>> parts = brier_decomposition(np.array([0.9, 0.9, 0.5, 0.5]), np.array([1, 1, 1, 0]), bins=2)
    >>> [round(part, 4) for part in parts]  # (.01 + .01 + .25 + .25) / 4 = .13
    [-0.12, 0.0, 0.25, 0.0, 0.13]
    """
    once = np.ones((1, len(confidence)))
    mass, confident, accuracy, variance = (part[0] for part in _table(confidence, correct, once, bins))
    share, a, n = mass / mass.sum(), float(np.mean(correct)), len(confidence)
    reliability = float((share * ((confident - accuracy) ** 2 - variance)).sum())
    apart = float(resolution(confidence, correct, once, bins)[0])
    uncertainty = a * (1.0 - a) * (1.0 + 1.0 / max(n - 1, 1))
    place = np.unique(
        np.searchsorted(equal_mass_edges(confidence, bins), confidence, side="right"), return_inverse=True
    )
    beside = confidence - confident[place[1]]
    within = float((beside**2 - 2.0 * beside * (correct - accuracy[place[1]])).mean())
    score = float(((confidence - correct) ** 2).mean())
    return BrierDecomposition(reliability, apart, uncertainty, within, score)


def reliability_diagram(confidence: Float, correct: NDArray[Any], bins: int = 15) -> ReliabilityDiagram:
    """Mean confidence, accuracy and number of samples of each bin of equal mass, for a figure.

    >>> reliability_diagram(np.array([0.9, 0.9, 0.5, 0.5]), np.array([1, 1, 1, 0]), bins=2)
    ReliabilityDiagram(confidence=[0.5, 0.9], accuracy=[0.5, 1.0], samples=[2, 2])
    """
    mass, confident, accuracy, _ = (
        part[0] for part in _table(confidence, correct, np.ones((1, len(confidence))), bins)
    )
    return ReliabilityDiagram(confident.tolist(), accuracy.tolist(), mass.astype(int).tolist())


def smooth_calibration_error(confidence: Float, correct: NDArray[Any], weights: NDArray[Any]) -> Float:
    """Smooth calibration error under every row of weights (B, n): (B,), from 0 to 1, lower is better.

    The width σ at which ``∫ |1/N Σ_i w_i K_σ(t, c_i) (y_i − c_i)| dt = σ``, K the normal density reflected at 0 and 1
    (Błasiok & Nakkiran 2023, arXiv 2309.12236): no bins, and the width follows the error. The integral falls as σ
    rises, so halving [0, 1] finds the one crossing, to 1e-9. Confidences lie on a grid of 1,024 cells, each shared by
    the two nearest; the reflected convolution is a product of cosine coefficients with ``exp(−(π k σ)²/2)``. Biased
    upwards: above 0 even for a calibrated network.

    >>> smooth_calibration_error(np.full(4, 0.75), np.array([1, 0, 1, 0]), np.ones((1, 4))).round(4).tolist()
    [0.25]
    """
    from scipy.fft import dct, idct

    place = np.clip(np.asarray(confidence, dtype=np.float64) * CELLS - 0.5, 0.0, CELLS - 1.0)
    cell = np.minimum(place.astype(np.int64), CELLS - 2)
    part, residual = place - cell, np.asarray(correct, dtype=np.float64) - confidence
    out = np.empty(len(weights))
    rows = 256
    for begin in range(0, len(weights), rows):
        table = np.asarray(weights[begin : begin + rows], dtype=np.float64)
        mass = np.stack([_on_grid(row * residual, cell, part) for row in table]) / table.sum(axis=1, keepdims=True)
        waves, k = dct(mass, axis=1), np.pi * np.arange(CELLS)
        low, high = np.zeros((len(mass), 1)), np.ones((len(mass), 1))
        for _ in range(STEPS):
            width = (low + high) / 2
            error = np.abs(idct(waves * np.exp(-0.5 * (k * width) ** 2), axis=1)).sum(axis=1, keepdims=True)
            low, high = np.where(error > width, width, low), np.where(error > width, high, width)
        out[begin : begin + rows] = np.where(mass.any(axis=1), high[:, 0], 0.0)
    return out


def _on_grid(mass: Float, cell: NDArray[np.int64], part: Float) -> Float:
    """Masses (n,) shared by a cell and the next one: (CELLS,)."""
    lower = np.bincount(cell, weights=mass * (1.0 - part), minlength=CELLS)
    return np.asarray(lower + np.bincount(cell + 1, weights=mass * part, minlength=CELLS))

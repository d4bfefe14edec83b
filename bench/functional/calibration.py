"""Proper scores and calibration errors of predicted probabilities."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.exact_sums import exact_parts

Float = NDArray[np.float64]

CHUNK = 300_000  # entries worked on at a time


def negative_log_likelihood(log_p: Float, labels: NDArray[np.int64]) -> Float:
    """``−log p(label)`` of log-probabilities (n, classes): (n,), nats, ≥ 0, lower is better.

    >>> negative_log_likelihood(np.log([[0.25, 0.75]]), np.array([0])).round(6).tolist()
    [1.386294]
    """
    return np.asarray(-log_p[np.arange(len(log_p)), labels])


def brier(log_p: Float, labels: NDArray[np.int64]) -> Float:
    """``Σ_c (p_c − [c = label])²`` of log-probabilities (n, classes): (n,), from 0 to 2, lower is better.

    The sum over classes, not their mean (Brier 1950, doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2).

    >>> brier(np.log([[0.25, 0.75]]), np.array([0])).round(6).tolist()
    [1.125]
    """
    error = np.exp(log_p)
    error[np.arange(len(error)), labels] -= 1.0
    return np.asarray((error**2).sum(axis=1))


def equal_mass_edges(confidence: Float, bins: int = 15) -> Float:
    """Inner edges of bins of equal mass; a run of ties stays in one bin, so there may be fewer bins.

    An edge is the lowest confidence of the bin above it.

    >>> equal_mass_edges(np.array([0.1, 0.2, 0.2, 0.2, 0.5, 0.9]), bins=3).tolist()
    [0.2, 0.5]
    """
    ordered = np.sort(confidence)
    n = len(ordered)
    bins = max(1, min(bins, n // 2))  # the debiasing needs two samples a bin
    starts = (np.arange(1, bins) * n) // bins
    edges = np.unique(ordered[starts])
    return np.asarray(edges[edges > ordered[0]] if n else edges)


def bin_sums(
    confidence: Float, correct: NDArray[Any], edges: Float, weights: NDArray[Any], right: bool
) -> tuple[Float, Float, Float]:
    """Per draw and bin with samples: the weight, the weighted confidences and correct ones, (B, bins) each; exact.

    Args:
        confidence: (n,).
        correct: 0 or 1, (n,).
        edges: between bins, rising.
        weights: whole numbers, one row a draw, (B, n).
        right: whether a value that equals an edge is in the bin above it.

    >>> confidence, correct = np.array([0.25, 0.5, 0.75]), np.array([0, 1, 1])
    >>> [sums.tolist() for sums in bin_sums(confidence, correct, np.array([0.5]), np.ones((1, 3)), right=True)]
    [[[1.0, 2.0]], [[0.25, 1.25]], [[0.0, 2.0]]]
    """
    index = np.searchsorted(edges, confidence, side="right" if right else "left")
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(index[order]) > 0])  # of the bins that hold a sample
    columns = np.stack([np.ones(len(order)), correct[order], *exact_parts(confidence[order][None])], axis=1)
    sums = np.empty((3, len(weights), len(starts)))
    rows = max(1, CHUNK // len(confidence))
    for begin in range(0, len(weights), rows):
        part = np.take(weights[begin : begin + rows], order, axis=1).astype(np.float64, copy=False)
        for place, (start, stop) in enumerate(pairwise((*starts, len(order)))):
            mass, right, coarse, fine = (part[:, start:stop] @ columns[start:stop]).T
            sums[:, begin : begin + rows, place] = mass, coarse + fine, right
    return sums[0], sums[1], sums[2]


def debiased_squared_calibration_error(
    confidence: Float, correct: NDArray[Any], weights: NDArray[Any], bins: int = 15
) -> Float:
    """Debiased squared top-label calibration error under every row of weights (B, n): (B,), signed, lower is better.

    ``Σ_b n_b/N [(c_b − a_b)² − a_b (1 − a_b) / (n_b − 1)]`` over bins of equal mass with mean confidence c_b and
    accuracy a_b (Bröcker 2012, doi 10.1007/s00382-011-1191-1; Kumar et al. 2019, arXiv 1909.10155). Below 0 where the
    network looks better calibrated than chance allows: the sign keeps the estimator unbiased. The bins come from the
    unweighted data and stay fixed over draws; ``n_b − 1`` counts as 1 in a bin with fewer than two samples.

    >>> confidence, correct = np.full(4, 0.75), np.array([1, 1, 1, 0])
    >>> debiased_squared_calibration_error(confidence, correct, np.ones((1, 4))).tolist()
    [-0.0625]
    """
    edges = equal_mass_edges(confidence, bins)
    mass, confident, right = bin_sums(confidence, correct, edges, weights, right=True)
    safe = np.where(mass > 0, mass, 1.0)
    accuracy = right / safe
    error = (confident / safe - accuracy) ** 2 - accuracy * (1.0 - accuracy) / np.maximum(mass - 1.0, 1.0)
    return np.asarray((mass * error).sum(axis=1) / mass.sum(axis=1))


def expected_calibration_error(
    confidence: Float, correct: NDArray[Any], weights: NDArray[Any], bins: int = 15
) -> Float:
    """Plug-in expected calibration error under every row of weights (B, n): (B,), from 0 to 1, lower is better.

    ``Σ_b n_b/N |c_b − a_b|`` over bins of equal width, each open at its lower end (Guo et al. 2017, arXiv 1706.04599).
    Biased upwards: above 0 even for a calibrated network.

    >>> expected_calibration_error(np.array([0.6, 0.6]), np.array([1, 0]), np.ones((1, 2))).round(6).tolist()
    [0.1]
    """
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    mass, confident, right = bin_sums(confidence, correct, edges, weights, right=False)
    return np.asarray(np.abs(confident - right).sum(axis=1) / mass.sum(axis=1))

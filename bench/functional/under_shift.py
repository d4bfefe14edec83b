"""Calibration of answers on many versions of each sample: natural corruptions at several severities, say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.functional.calibration import debiased_squared_calibration_error, negative_log_likelihood
from bench.functional.predictions import correct, top_probability

Float = NDArray[np.float64]


def versions_nll(log_p: Float, labels: NDArray[Any]) -> Float:
    """Mean negative log-likelihood of a sample's versions: log_p (n, ..., classes), labels (n,), to (n,), nats.

    >>> versions_nll(np.log([[[0.5, 0.5], [1.0, 1e-300]]]), np.array([0])).round(6).tolist()
    [0.346574]
    """
    flat, repeated = _flat(log_p, labels)
    return np.asarray(negative_log_likelihood(flat, repeated).reshape(len(log_p), -1).mean(axis=1))


def versions_confidence(log_p: Float) -> Float:
    """Top probability of each version: (n, ..., classes) to (n, versions).

    >>> versions_confidence(np.log([[[0.5, 0.5], [0.75, 0.25]]])).tolist()
    [[0.5, 0.75]]
    """
    return np.asarray(top_probability(log_p.reshape(-1, log_p.shape[-1])).reshape(len(log_p), -1))


def versions_correct(log_p: Float, labels: NDArray[Any]) -> Float:
    """1 where a version has its sample's label, else 0: (n, ..., classes) and (n,) to (n, versions).

    >>> versions_correct(np.log([[[0.75, 0.25], [0.25, 0.75]]]), np.array([1])).tolist()
    [[0.0, 1.0]]
    """
    flat, repeated = _flat(log_p, labels)
    return np.asarray(correct(flat, repeated), dtype=np.float64).reshape(len(log_p), -1)


def versions_calibration_error(confidence: Float, right: Float, weights: Float) -> Float:
    """Mean over versions of the debiased squared calibration error, (n, versions) each, weights (B, n): (B,), signed.

    Each version of all samples is a set of its own (Ovadia et al. 2019, arXiv 1906.02530, look at calibration severity
    by severity), in 15 bins of equal mass: pooled, a version that is too sure would make up for one that is not.

    >>> confidence, right = np.full((4, 1), 0.75), np.array([[1.0], [1.0], [1.0], [0.0]])
    >>> versions_calibration_error(confidence, right, np.ones((1, 4))).tolist()
    [-0.0625]
    """
    errors = [debiased_squared_calibration_error(*pair, weights) for pair in zip(confidence.T, right.T, strict=True)]
    return np.asarray(np.mean(errors, axis=0))


def _flat(log_p: Float, labels: NDArray[Any]) -> tuple[Float, NDArray[Any]]:
    """All versions as rows, and the label of each."""
    flat = log_p.reshape(-1, log_p.shape[-1])
    return flat, np.repeat(labels, len(flat) // len(log_p))

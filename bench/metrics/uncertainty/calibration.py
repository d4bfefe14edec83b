"""Does a network know how sure it may be?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.functional.calibration import (
    brier,
    debiased_squared_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
)
from bench.metrics.base import Arrays, Change, Family, Float, Metric, Observing, Quality, Value, Weights, metrics
from bench.metrics.evaluation import labels_of, log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.resampling import resampled_means

WHY_NO_INTERVAL = "the plug-in ECE is biased upwards, and percentile intervals on it cover as little as 0 %"


def _per_sample_nll(arrays: Arrays) -> Float:
    return np.asarray(arrays["nll"], dtype=np.float64)


def _per_sample_brier(arrays: Arrays) -> Float:
    return np.asarray(arrays["brier"], dtype=np.float64)


def _nll(arrays: Arrays, weights: Weights) -> Float:
    return resampled_means(arrays["nll"], weights)


def _brier(arrays: Arrays, weights: Weights) -> Float:
    return resampled_means(arrays["brier"], weights)


def _ce2(arrays: Arrays, weights: Weights) -> Float:
    return debiased_squared_calibration_error(arrays["confidence"], arrays["correct"], weights)


def _ece(arrays: Arrays, weights: Weights) -> Float:
    return expected_calibration_error(arrays["confidence"], arrays["correct"], weights)


def _confidence_change(a: Arrays, b: Arrays) -> Float:
    return np.asarray(np.abs(a["confidence"] - b["confidence"]), dtype=np.float64)


@metrics.register("uncertainty.calibration")
@parameters
class Calibration(Metric):
    """Proper scores and calibration of the class probabilities.

    ``nll``: mean −log p(label), nats. ``brier``: mean Σ_c (p_c − y_c)², 0 to 2. ``ce2_debiased``: squared top-label
    calibration error without its bias, 15 bins of equal mass, signed. ``ece``: the usual plug-in figure, 15 bins of
    equal width. ``confidence_change``: |difference of the two networks' top probabilities|.
    """

    family: ClassVar[Family] = "uncertainty"
    labelled: ClassVar[bool] = True
    headline: ClassVar[str | None] = "confidence_change"
    values: ClassVar[tuple[Value, ...]] = (
        Change("confidence_change", _confidence_change, power=1, largest=1.0),
        Quality("nll", _nll, better="lower", unit="nats", per_sample=_per_sample_nll),
        Quality("brier", _brier, better="lower", per_sample=_per_sample_brier, largest=2.0),
        Quality("ce2_debiased", _ce2, better="lower", debiased=True),
        Quality("ece", _ece, better="lower", interval="none", why_no_interval=WHY_NO_INTERVAL),
    )

    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """``nll``, ``brier``, ``confidence`` (n,) float64 and ``correct`` (n,), 0 or 1."""
        labels = labels_of(samples)
        log_p = log_probabilities(predictor, samples.x)
        return {
            "nll": negative_log_likelihood(log_p, labels),
            "brier": brier(log_p, labels),
            "confidence": np.exp(log_p.max(axis=1)),
            "correct": (log_p.argmax(axis=1) == labels).astype(np.uint8),
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Mean confidence beside accuracy, and how many confidences differ: coarse outputs have few."""
        return {
            "mean_confidence": float(arrays["confidence"].mean()),
            "accuracy": float(arrays["correct"].mean()),
            "unique_confidences": len(np.unique(arrays["confidence"])),
        }

"""How often a network is right."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.metrics.base import Arrays, Family, Float, Metric, Observing, Quality, Value, Weights, metrics
from bench.metrics.evaluation import labels_of, log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.resampling import resampled_means


def _correct(arrays: Arrays) -> Float:
    return arrays["correct"].astype(np.float64)


def _accuracy(arrays: Arrays, weights: Weights) -> Float:
    return resampled_means(arrays["correct"], weights)


@metrics.register("fidelity.accuracy")
@parameters
class Accuracy(Metric):
    """Share of samples whose most probable class is the label (ties go to the first class)."""

    family: ClassVar[Family] = "fidelity"
    labelled: ClassVar[bool] = True
    values: ClassVar[tuple[Value, ...]] = (
        Quality(
            "accuracy",
            _accuracy,
            better="higher",
            unit="proportion",
            interval="score",
            per_sample=_correct,
            largest=1.0,
        ),
    )

    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """``correct`` (n,), 0 or 1."""
        labels = labels_of(samples)
        return {"correct": (log_probabilities(predictor, samples.x).argmax(axis=1) == labels).astype(np.uint8)}

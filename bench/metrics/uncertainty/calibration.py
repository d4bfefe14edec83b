"""Does a network know how sure it may be?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.functional.calibration import (
    brier,
    debiased_squared_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
)
from bench.functional.predictions import absolute_difference, correct, top_probability
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import LABELS, Arrays, Change, Derived, Mean, Statistic, Value, with_tail
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.registry import parameters

PLUG_IN = "the plug-in ECE is biased upwards, and percentile intervals on it cover as little as 0 %"
JUDGED = ("confidence", "correct")


@metrics.register("uncertainty.calibration")
@parameters
class Calibration(Metric):
    """Proper scores and calibration of the class probabilities.

    ``nll``: mean −log p(label), nats. ``brier``: mean Σ_c (p_c − y_c)², 0 to 2. ``ce2_debiased``: squared top-label
    calibration error without its bias, 15 bins of equal mass, signed. ``ece``: the usual plug-in figure, 15 bins of
    equal width. ``confidence_change``: |difference of the two networks' top probabilities|, which needs no labels.
    """

    family: ClassVar[Family] = "uncertainty"
    headline: ClassVar[str | None] = "confidence_change"
    probes: ClassVar[tuple[Probe, ...]] = (Logits(),)
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("nll", negative_log_likelihood, of=("log_probabilities", LABELS)),
        Derived("brier", brier, of=("log_probabilities", LABELS)),
        Derived("confidence", top_probability, of="log_probabilities"),
        Derived("correct", correct, of=("log_probabilities", LABELS)),
    )
    values: ClassVar[tuple[Value, ...]] = (
        *with_tail(Change("confidence_change", absolute_difference, of="confidence", power=1, largest=1.0)),
        Mean("nll", of="nll", better="lower", unit="nats"),
        Mean("brier", of="brier", better="lower", largest=2.0),
        Statistic("ce2_debiased", debiased_squared_calibration_error, of=JUDGED, better="lower", recentre=True),
        Statistic("ece", expected_calibration_error, of=JUDGED, better="lower", no_interval=PLUG_IN),
    )

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Mean confidence, beside accuracy with labels, and how many confidences differ: coarse outputs have few."""
        confidence = arrays["confidence"]
        told = {"mean_confidence": float(confidence.mean()), "unique_confidences": len(np.unique(confidence))}
        return told | ({"accuracy": float(arrays["correct"].mean())} if "correct" in arrays else {})

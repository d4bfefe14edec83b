"""Does a threshold on confidence, found with the reference, still do for the variant what it was set for?"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.errors import NotApplicable
from bench.functional.fixed_threshold import (
    accepted_errors,
    confidence_threshold,
    log_confidence,
    reaches,
    selective_risk,
)
from bench.functional.predictions import correct, differ
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import LABELS, Arrays, Change, Derived, Proportion, Statistic, Value, of_reference
from bench.probes.base import Probe
from bench.probes.calibration_logits import CalibrationLogits
from bench.probes.logits import Logits
from bench.registry import parameters

FEW = "errors among accepted samples are few, and resampled risks then cover 86 %; accepted_errors has the interval"


@dataclass(frozen=True)
class ThresholdAt:
    """The threshold at one coverage; equal coverages are one function, so that what is derived is found again."""

    coverage: float

    def __call__(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """The threshold of confidences (m,), as a number (0-d)."""
        return confidence_threshold(confidence, self.coverage)


@metrics.register("uncertainty.threshold")
@parameters
class FixedThreshold(Metric):
    """The reference's threshold on confidence, kept for the variant: which answers are accepted, and how many err.

    The threshold is the reference's, at a coverage of .8 of the calibration split: of samples that were there before
    the network was put to use, so that it is fixed for the samples which are judged. No labels are needed for it.
    ``decision_change``: share of samples that one network's confidence reaches the threshold on and the other's does
    not. ``coverage``: share of samples that reach it; fewer is the harm, since more go to whoever decides instead.
    ``accepted_errors``: share of all samples that are accepted and wrong. ``selective_risk``: wrong ones among the
    accepted; null where none is. Of samples that tie at the threshold all are accepted. Intervals are given the
    threshold, over evaluation samples.
    """

    coverage: Annotated[float, Field(gt=0, le=1, description="the share of samples to accept, for the threshold")] = 0.8

    family: ClassVar[Family] = "uncertainty"
    probes: ClassVar[tuple[Probe, ...]] = (Logits(), CalibrationLogits())
    values: ClassVar[tuple[Value, ...]] = (
        Change("decision_change", differ, of="accepted", power=1, unit="proportion", count=True, largest=1.0),
        Proportion("coverage", of="accepted", better="higher"),
        Proportion("accepted_errors", of="accepted_errors", better="lower"),
        Statistic(
            "selective_risk", selective_risk, of=("accepted", "accepted_errors"), better="lower",
            unit="proportion", largest=1.0, no_interval=FEW,
        ),
    )  # fmt: skip

    @property
    def derived(self) -> tuple[Derived, ...]:
        """Confidences, the threshold at this coverage, and what reaches it."""
        return (
            Derived("confidence", log_confidence, "log_probabilities"),
            Derived("calibration_confidence", log_confidence, "calibration_log_probabilities"),
            Derived("threshold", ThresholdAt(self.coverage), "calibration_confidence", rows=False),
            Derived("accepted", reaches, ("confidence", of_reference("threshold"))),
            Derived("correct", correct, ("log_probabilities", LABELS)),
            Derived("accepted_errors", accepted_errors, ("accepted", "correct")),
        )

    def protocol(self) -> dict[str, Any]:
        """Where the threshold comes from, and what intervals are conditional on."""
        return {
            **super().protocol(),
            "threshold": "the reference's, found on the calibration split",
            "ties": "accepted",
            "intervals": "over evaluation samples, given the threshold",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The reference's threshold as a probability, and how many calibration samples tie at it and reach it.

        The threshold of the network's own stands beside it: the one that would be found anew.
        """
        with contextlib.suppress(NotApplicable, LookupError):
            kept = arrays[of_reference("threshold")]
            confidence = arrays[of_reference("calibration_confidence")]
            return {
                "kept_threshold": float(np.exp(kept)),
                "own_threshold": float(np.exp(arrays["threshold"])),
                "calibration_samples": len(confidence),
                "calibration_coverage": float((confidence >= kept).mean()),
                "calibration_ties": int((confidence == kept).sum()),
            }
        return {}

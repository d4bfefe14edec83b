"""Calibration by further measures, none of which is right for every purpose."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.functional.calibration_errors import (
    brier_decomposition,
    classwise_calibration_error,
    equal_mass_calibration_error,
    reliability_diagram,
    resolution,
    smooth_calibration_error,
)
from bench.functional.predictions import correct, errors_of, too_few_errors, top_probability
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.error_statistic import ErrorStatistic
from bench.metrics.values import LABELS, Arrays, Derived, Statistic, Value
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.registry import parameters

JUDGED = ("confidence", "correct")
EQUAL_MASS = "the plug-in error is biased upwards, and percentile intervals of its harm cover as little as 5 %"
CLASSWISE = "the plug-in error is biased upwards, and percentile intervals of its harm cover as little as 0 %"
SMOOTH = "biased upwards, and percentile intervals of its harm cover as little as 17 %"


@metrics.register("uncertainty.calibration_errors")
@parameters
class CalibrationErrors(Metric):
    """Further calibration errors, and how far confidence tells right from wrong.

    ``ece_equal_mass``: plug-in error of the top class, 15 bins of equal mass. ``ece_classwise``: that of every class's
    probability, 15 bins of equal width, mean over classes (arXiv 1910.12656). ``smooth_ece``: by a kernel whose width
    follows the error, without bins (arXiv 2309.12236). ``resolution``: variance of the accuracy over 15 bins of equal
    mass, without bias, higher is better; with the ``ce2_debiased`` of ``uncertainty.calibration``, its reliability, it
    makes up the Brier score of the top class. Reliability diagram and decomposition are in the details.
    """

    family: ClassVar[Family] = "uncertainty"
    labelled: ClassVar[bool] = True
    probes: ClassVar[tuple[Probe, ...]] = (Logits(),)
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("confidence", top_probability, of="log_probabilities"),
        Derived("correct", correct, of=("log_probabilities", LABELS)),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Statistic(
            "ece_equal_mass",
            equal_mass_calibration_error,
            of=JUDGED,
            better="lower",
            largest=1.0,
            no_interval=EQUAL_MASS,
        ),
        Statistic(
            "ece_classwise",
            classwise_calibration_error,
            of=("log_probabilities", LABELS),
            better="lower",
            largest=1.0,
            no_interval=CLASSWISE,
        ),
        Statistic("smooth_ece", smooth_calibration_error, of=JUDGED, better="lower", largest=1.0, no_interval=SMOOTH),
        ErrorStatistic("resolution", resolution, of=JUDGED, better="higher", recentre=True),
    )

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Reliability diagram, parts of the Brier score, and whether there are too few errors to say anything."""
        of = arrays["confidence"], arrays["correct"]
        told = {
            "reliability_diagram": reliability_diagram(*of)._asdict(),
            "brier_parts": brier_decomposition(*of)._asdict(),
        }
        return told | ({"underpowered": few} if (few := too_few_errors(errors_of(of[1]), len(of[1]))) else {})

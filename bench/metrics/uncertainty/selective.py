"""What is risked when the least sure answers are withheld?"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from bench.functional.predictions import correct, top_probability
from bench.functional.selective import (
    area_under_generalised_risk_coverage,
    area_under_risk_coverage,
    excess_area_under_risk_coverage,
    risk_at_coverage,
    risk_coverage_curve,
    tied,
)
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import LABELS, Arrays, Derived, Proportion, Statistic, Value
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.registry import parameters

JUDGED = ("confidence", "correct")
FEW = 10  # errors below which orders of confidence say little


@metrics.register("uncertainty.selective")
@parameters
class Selective(Metric):
    """Selective prediction by the top probability: errors among the surest answers.

    ``aurc``: mean over coverages of the error rate of the surest (arXiv 1805.08206). ``e_aurc``: what of it a better
    order would save. ``augrc``: mean over coverages of the share of all samples that are wrong and answered (arXiv
    2407.01032), which does not weigh the surest few as aurc does. ``risk_at_80``: the error rate of the surest 80 %.
    Samples of one confidence are taken in every order; ``tie_share`` says how many there are. Fewer than ten errors
    are marked as underpowered.
    """

    family: ClassVar[Family] = "uncertainty"
    probes: ClassVar[tuple[Probe, ...]] = (Logits(),)
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("confidence", top_probability, of="log_probabilities"),
        Derived("correct", correct, of=("log_probabilities", LABELS)),
        Derived("tied", tied, of="confidence", rows=False),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Statistic("aurc", area_under_risk_coverage, of=JUDGED, better="lower", largest=1.0),
        Statistic("e_aurc", excess_area_under_risk_coverage, of=JUDGED, better="lower", largest=1.0),
        Statistic("augrc", area_under_generalised_risk_coverage, of=JUDGED, better="lower", largest=0.5),
        Statistic(
            "risk_at_80",
            partial(risk_at_coverage, coverage=0.8),
            of=JUDGED,
            better="lower",
            unit="proportion",
            largest=1.0,
        ),
        Proportion("tie_share", of="tied", better="none"),
    )

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """With labels, the errors and the curve of risk over coverage."""
        if "correct" not in arrays:
            return {}
        right = arrays["correct"]
        errors = int((1 - right.astype(int)).sum())
        told: dict[str, Any] = {"errors": errors, "risk_coverage": risk_coverage_curve(arrays["confidence"], right)}
        if errors < FEW:
            told["underpowered"] = f"{errors} errors in {len(right)} samples: an order of {FEW} or more says something"
        return told

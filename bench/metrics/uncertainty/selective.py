"""What is risked when the least sure answers are withheld?"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from bench.functional.predictions import correct, errors_of, too_few_errors, top_probability
from bench.functional.selective import (
    area_under_generalised_risk_coverage,
    area_under_risk_coverage,
    augrc_influence,
    aurc_influence,
    excess_area_under_risk_coverage,
    excess_aurc_influence,
    risk_at_coverage,
    risk_coverage_curve,
    tie_share,
    tied,
)
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.error_statistic import ErrorStatistic
from bench.metrics.values import LABELS, Arrays, Derived, Statistic, Value
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.registry import parameters

JUDGED = ("confidence", "correct")
TIES = "a tie is of two samples: it is no mean of independent ones"


@metrics.register("uncertainty.selective")
@parameters
class Selective(Metric):
    """Selective prediction by the top probability: errors among the surest answers.

    ``aurc``: mean over coverages of the error rate of the surest (arXiv 1805.08206). ``e_aurc``: what of it a better
    order would save. ``augrc``: mean over coverages of the share of all samples that are wrong and answered (arXiv
    2407.01032), which does not weigh the surest few as aurc does. ``risk_at_80``: the error rate of the surest 80 %.
    Samples of one confidence are taken in every order; ``tie_share`` says how many there are. With fewer
    than ten errors in a network (``risk_at_80``: among its surest 80 %) there are figures, and 'underpowered' in place
    of intervals.
    """

    family: ClassVar[Family] = "uncertainty"
    version: ClassVar[int] = 3  # risk at 80 % needs errors among the answers
    probes: ClassVar[tuple[Probe, ...]] = (Logits(),)
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("confidence", top_probability, of="log_probabilities"),
        Derived("correct", correct, of=("log_probabilities", LABELS)),
        Derived("tied", tied, of="confidence", rows=False),
    )
    values: ClassVar[tuple[Value, ...]] = (
        ErrorStatistic(
            "aurc", area_under_risk_coverage, of=JUDGED, better="lower", largest=1.0, influence=aurc_influence
        ),
        ErrorStatistic(
            "e_aurc",
            excess_area_under_risk_coverage,
            of=JUDGED,
            better="lower",
            largest=1.0,
            influence=excess_aurc_influence,
        ),
        ErrorStatistic(
            "augrc",
            area_under_generalised_risk_coverage,
            of=JUDGED,
            better="lower",
            largest=0.5,
            influence=augrc_influence,
        ),
        ErrorStatistic(
            "risk_at_80",
            partial(risk_at_coverage, coverage=0.8),
            of=JUDGED,
            share=0.8,
            better="lower",
            unit="proportion",
            largest=1.0,
        ),
        Statistic("tie_share", tie_share, of="tied", better="none", unit="proportion", largest=1.0, no_interval=TIES),
    )

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """With labels, the errors and the curve of risk over coverage."""
        if "correct" not in arrays:
            return {}
        right = arrays["correct"]
        errors = errors_of(right)
        told: dict[str, Any] = {"errors": errors, "risk_coverage": risk_coverage_curve(arrays["confidence"], right)}
        return told | ({"underpowered": few} if (few := too_few_errors(errors, len(right))) else {})

"""Does the network's own sureness still tell samples that it was not made for from those that it was?"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.functional.detection import (
    auroc,
    auroc_influence,
    average_precision,
    average_precision_influence,
    false_positive_rate,
    false_positive_rate_draws,
)
from bench.functional.ood_scores import negative, negative_log_confidence, predictive_entropy
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.two_samples import TwoSampleStatistic
from bench.metrics.values import Derived, Value
from bench.probes.base import Probe
from bench.probes.logit_scale import LogitScale
from bench.probes.logits import Logits
from bench.probes.ood_logits import OodLogits, OodLogitScale
from bench.registry import parameters

SCORES = {
    "mcp": (negative_log_confidence, "log_probabilities"),
    "entropy": (predictive_entropy, "log_probabilities"),
    "max_logit": (negative, "max_logit"),
    "energy": (negative, "log_partition"),
}


def _values(score: str) -> tuple[Value, ...]:
    of = (f"{score}_score", f"ood_{score}_score")
    return (
        TwoSampleStatistic(
            f"{score}_auroc", auroc, of=of, better="higher", largest=1.0, most=1.0, least=0.0, influence=auroc_influence
        ),
        TwoSampleStatistic(
            f"{score}_aupr", average_precision, of=of, better="higher", largest=1.0, most=1.0, least=0.0,
            influence=average_precision_influence,
        ),
        TwoSampleStatistic(
            f"{score}_fpr95", false_positive_rate, of=of, better="lower", unit="proportion", largest=1.0, most=1.0,
            least=0.0, drawn=false_positive_rate_draws,
        ),
    )  # fmt: skip


@metrics.register("uncertainty.ood")
@parameters
class OutOfDistribution(Metric):
    """Detection of samples out of distribution by the network's own scores, evaluation samples against another set.

    Positive is out of distribution. ``mcp``: the largest probability (arXiv 1610.02136). ``entropy``: of the class
    probabilities. ``max_logit`` (arXiv 1911.11132) and ``energy`` −log Σ exp z (arXiv 2010.03759): both move with a
    shift common to all logits of a sample, which changes no probability; null where a network answers probabilities.
    ``..._auroc``: area under the receiver operating characteristic, ties counted half. ``..._aupr``: average precision,
    which depends on the sizes of both sets. ``..._fpr95``: share of evaluation samples at or above the highest
    threshold that finds .95 of the others, ties one step. No labels are needed. Intervals are over both sets.
    """

    against: Annotated[str, Field(description="the name of an [[ood]] of the suite")]

    family: ClassVar[Family] = "uncertainty"
    values: ClassVar[tuple[Value, ...]] = tuple(value for score in SCORES for value in _values(score))
    derived: ClassVar[tuple[Derived, ...]] = tuple(
        Derived(f"{prefix}{score}_score", function, f"{prefix}{name}")
        for score, (function, name) in SCORES.items()
        for prefix in ("", "ood_")
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Probabilities and logits, in distribution and out of it."""
        return Logits(), LogitScale(), OodLogits(against=self.against), OodLogitScale(against=self.against)

    def protocol(self) -> dict[str, Any]:
        """The conventions."""
        return {
            **super().protocol(),
            "positive": "out of distribution",
            "fpr95": "at the first threshold with a true positive rate of .95 or more, ties one step",
            "intervals": "over evaluation samples and samples out of distribution",
        }

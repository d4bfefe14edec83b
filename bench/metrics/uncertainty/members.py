"""Do the members of an ensemble still differ where it should be unsure?"""

from __future__ import annotations

from typing import ClassVar

from bench.functional.member_predictions import pairwise_disagreement
from bench.functional.ood_scores import predictive_entropy
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Derived, Mean, Value
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.probes.member_predictions import MemberPredictions
from bench.registry import parameters


@metrics.register("uncertainty.members")
@parameters
class Members(Metric):
    """Entropies and disagreement of a network of several members; no labels are needed.

    ``predictive_entropy``: of the mean probability, nats. ``expected_entropy``: mean of the members' own entropies.
    ``mutual_information``: the difference of both, what disagreement adds; exactly 0 with one member.
    ``disagreement``: share of pairs of members with different classes; null with one member. More is neither better
    nor worse: it says how the network is unsure, and no harm is told.
    """

    family: ClassVar[Family] = "uncertainty"
    by_default: ClassVar[bool] = False  # of a network of one member it says next to nothing
    probes: ClassVar[tuple[Probe, ...]] = (Logits(), MemberPredictions())
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("predictive_entropy", predictive_entropy, of="log_probabilities"),
        Derived("disagreement", pairwise_disagreement, of="member_classes"),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Mean("predictive_entropy", of="predictive_entropy", better="none", unit="nats"),
        Mean("expected_entropy", of="expected_entropy", better="none", unit="nats"),
        Mean("mutual_information", of="mutual_information", better="none", unit="nats"),
        Mean("disagreement", of="disagreement", better="none", unit="proportion", largest=1.0),
    )

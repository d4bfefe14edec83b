"""The metric of accuracy: how often a network is right."""

from __future__ import annotations

from typing import ClassVar

from bench.functional.predictions import correct
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import LABELS, Derived, Proportion, Value
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.registry import parameters


@metrics.register("fidelity.accuracy")
@parameters
class Accuracy(Metric):
    """Share of samples whose most probable class is the label (ties go to the first class)."""

    family: ClassVar[Family] = "fidelity"
    labelled: ClassVar[bool] = True
    probes: ClassVar[tuple[Probe, ...]] = (Logits(),)
    derived: ClassVar[tuple[Derived, ...]] = (Derived("correct", correct, of=("log_probabilities", LABELS)),)
    values: ClassVar[tuple[Value, ...]] = (Proportion("accuracy", of="correct", better="higher"),)

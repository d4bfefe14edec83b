"""The families of metrics: what each asks, and the one metric that stands for it, named before anyone looks."""

from __future__ import annotations

from typing import NamedTuple

from bench.metrics.base import Family


class FamilyInfo(NamedTuple):
    """One line of title, and the headline metric; which of its values, its ``headline`` says."""

    title: str
    headline: str


FAMILIES: dict[Family, FamilyInfo] = {
    "fidelity": FamilyInfo("Does it still predict the same?", "fidelity.predictions"),
    "lipschitz": FamilyInfo("Does it react to its input as before?", "lipschitz.local"),
    "adversarial": FamilyInfo("Does it withstand the same attacks?", "adversarial.pgd"),
    "attribution": FamilyInfo("Does it look at the same pixels?", "attribution.ig"),
    "uncertainty": FamilyInfo("Is it as sure, and rightly so?", "uncertainty.calibration"),
    "cost": FamilyInfo("What does it cost to store and run?", "cost"),
}

"""The families of metrics, in the order of every report: what each asks, and the metric that stands for it."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Family: TypeAlias = Literal["fidelity", "lipschitz", "adversarial", "attribution", "uncertainty", "cost"]


class FamilyInfo(NamedTuple):
    """One row: adding a family is adding one, and its name above."""

    title: str
    headlines: tuple[str, ...]  # metrics, named before anyone looks: the first that a suite uses stands for the family
    gaps: bool = True  # on the yardsticks' scale, with a gap and an alarm in reports
    harms: tuple[str, ...] = ()  # ``metric.value``, named before anyone looks too: the first that a suite measures


FAMILIES: dict[str, FamilyInfo] = {
    "fidelity": FamilyInfo(
        "Does it still predict the same?", ("fidelity.predictions",), harms=("fidelity.accuracy.accuracy",)
    ),
    "lipschitz": FamilyInfo(
        "Does it react to its input as before?", ("lipschitz.local",), harms=("lipschitz.local.log_jacobian_norm",)
    ),
    "adversarial": FamilyInfo(
        "Does it withstand the same attacks?",
        ("adversarial.minimum_norm", "adversarial.pgd"),
        harms=(
            "adversarial.masking.reported_robust_error",
            "adversarial.robust_error.robust_error",
            "adversarial.pgd.robust_error",
            "adversarial.corruptions.corruption_error",
        ),
    ),
    "attribution": FamilyInfo(
        "Does it look at the same pixels?", ("attribution.ig",), harms=("attribution.faithfulness.insertion",)
    ),
    "uncertainty": FamilyInfo(
        "Is it as sure, and rightly so?",
        ("uncertainty.calibration",),
        harms=("uncertainty.temperature.calibrated_nll", "uncertainty.calibration.nll"),
    ),
    "cost": FamilyInfo("What does it cost to store and run?", ("cost",), gaps=False),
}


def in_order(names: set[str]) -> list[str]:
    """Families in the order of reports; those that only a suite of somebody else's knows come last, by name.

    >>> in_order({"uncertainty", "own", "fidelity"})
    ['fidelity', 'uncertainty', 'own']
    """
    return [*(name for name in FAMILIES if name in names), *sorted(names - FAMILIES.keys())]


def is_family_harm(family: str, metric: str, value: str) -> bool:
    """Whether a value is among those that reports show first of a family's harm.

    >>> is_family_harm("fidelity", "fidelity.accuracy", "accuracy"), is_family_harm("own", "own.metric", "figure")
    (True, False)
    """
    return family in FAMILIES and f"{metric}.{value}" in FAMILIES[family].harms

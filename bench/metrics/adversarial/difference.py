"""Attacks on the difference: does an input exist that the reference still gets right, and the variant does not?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.functional.shares import first_column, found_or_apart, share_among
from bench.metrics.base import Family, Metric, PicturedInputs, metrics
from bench.metrics.values import Arrays, Change, Derived, Statistic, Value, names
from bench.probes.base import Probe
from bench.probes.difference_attack import DifferenceAttack, DifferenceAttackOptions
from bench.probes.joint_outcomes import CW, OUTCOMES
from bench.registry import parameters
from bench.stats.proportions import clopper_pearson
from bench.stats.ratio import count_ratio

EVENTS = 10  # of either kind, from which on a bootstrap interval of a share is known to cover
NO_START = "no sample that both networks get right"


@dataclass(frozen=True)
class RareShare(Statistic):
    """A share among started samples that has an interval from ten events and ten others on: a resample of none is 0."""

    def without_interval(self, *networks: Arrays) -> str:
        """Why there is none; the details hold the exact interval of the share itself."""
        events, started = (networks[-1][name] > 0 for name in names(self.of))  # the reference has none beside itself
        count, n = int(events.sum()), int(started.sum())
        if min(count, n - count) < EVENTS:
            return f"underpowered: {count} of {n} started samples, {EVENTS} of either kind are needed"
        return ""


def _among_started(name: str, of: str) -> Statistic:
    return RareShare(name, share_among, of=(of, "started"), better="lower", unit="proportion", largest=1.0, least=0.0,
                     most=1.0, undefined=NO_START)  # fmt: skip


def _evades(found: NDArray[Any], outcomes: NDArray[Any]) -> NDArray[np.uint8]:
    """Where only the reference is right, on the sample itself or on what was found from it."""
    return found_or_apart(found, outcomes, CW)


def told_share(events: NDArray[Any]) -> dict[str, Any]:
    """A share of events (n,) of 0 or 1, how many, and its exact 95 % interval.

    >>> told_share(np.zeros(360))["ci"][0]
    0.0
    """
    count, n = int(events.sum()), len(events)
    low, high, _ = clopper_pearson(count, n)
    return {"events": count, "n": n, "share": count / n, "ci": [low, high]}


def told_ratio(events: NDArray[Any], control: NDArray[Any]) -> dict[str, Any]:
    """The ratio of two counts of events (n,) of 0 or 1 on the same samples, with its 95 % interval.

    >>> told_ratio(np.array([1, 1]), np.array([0, 0]))["ratio"] is None
    True
    """
    ratio = float(events.sum() / control.sum()) if control.any() else None
    return {"ratio": ratio, "ci": list(count_ratio(events, control)[:2])}


@metrics.register("adversarial.difference")
@parameters
class DifferenceOfNetworks(DifferenceAttackOptions, Metric):
    """Inputs within epsilon that the reference still gets right and the variant does not: DIVA, arXiv 2204.10933.

    DIVA raises ``p_ref[y] − c · p_var[y]`` by steps of the gradient's sign in l_inf. ``joint_success``: share of the
    samples that both networks get right from which it found such an input, at any iterate; ``joint_success_last``: at
    the last. ``evasion_rate``: share of all samples that are such inputs or from which one was found, on the scale of
    retrained networks: how many are there between the reference and a network that was only trained again? Judged on
    both networks as they run. In the details the same of PGD on the variant alone and of noise at as many points, the
    outcomes of both networks (C correct, W wrong, the reference first), changes of confidence, DSSIM, and the ratio of
    DIVA to each. From below: what was not found may exist. The reference has no difference from itself, and 0 is
    measured there.
    """

    family: ClassVar[Family] = "adversarial"
    by_default: ClassVar[bool] = False
    starts: ClassVar[str] = "started"
    pictured_inputs: ClassVar[PicturedInputs | None] = PicturedInputs("evaded", "found_classes", "found")
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("evaded", first_column, of="joint_any"),
        Derived("evaded_last", first_column, of="joint_last"),
        Derived("apart", _evades, of=("joint_any", "clean_outcome")),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Change("evasion_rate", None, of="apart", power=1, unit="proportion", count=True, largest=1.0),
        _among_started("joint_success", "evaded"),
        _among_started("joint_success_last", "evaded_last"),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attack and its controls, as one probe."""
        return (DifferenceAttack(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """Attack, budget, and what counts as a success."""
        return {
            **super().protocol(),
            "step": self.stepsize,
            "norm": "linf",
            "start": "the sample itself",
            "success": "the reference gives the label and the variant another class, both as they run",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Outcomes before, and of each method success, outcomes, confidences and distances; ratios to the controls."""
        if "started" not in arrays:
            return {}
        started = arrays["started"].astype(bool)
        told: dict[str, Any] = {"started": int(started.sum()), "clean": counts(arrays["clean_outcome"])}
        if not started.any():
            return told
        for number, method in enumerate(self.methods):
            told[method] = self._of_method(arrays, started, number)
        attack = arrays["joint_any"][started, 0]
        for number, method in enumerate(self.methods[1:], 1):
            told[f"{self.methods[0]}_over_{method}"] = told_ratio(attack, arrays["joint_any"][started, number])
        return told

    @staticmethod
    def _of_method(arrays: Arrays, started: NDArray[np.bool_], number: int) -> dict[str, Any]:
        first = arrays["first_step"][started, number]
        change = arrays["confidence_change"][started, number].mean(axis=0)
        told = {
            "joint_success": told_share(arrays["joint_any"][started, number]),
            "joint_success_last": told_share(arrays["joint_last"][started, number]),
            "outcomes_last": counts(arrays["outcome_last"][started, number]),
            "confidence_change": {"reference": float(change[0]), "variant": float(change[1])},
            "zero_gradient_share": float(arrays["zero_gradient"][started, number].mean()),
        }
        if (first > 0).any():
            told["median_step"] = float(np.median(first[first > 0]))
        if "dissimilarity" in arrays:
            told["dssim"] = float(arrays["dissimilarity"][started, number].mean())
        return told


def counts(outcomes: NDArray[Any]) -> dict[str, int]:
    """How often each outcome occurs.

    >>> counts(np.array([0, 0, 1]))
    {'CC': 2, 'CW': 1, 'WC': 0, 'WW': 0}
    """
    return {name: int((outcomes == number).sum()) for number, name in enumerate(OUTCOMES)}

"""The metric of natural corruptions: what a network makes of images that cameras and files have spoilt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.functional.divergences import flips
from bench.functional.flips_under_shift import (
    classes_differ,
    classes_wrong,
    clustered_auroc,
    flip_auroc,
    flip_auroc_difference,
    flip_ratio,
)
from bench.functional.ood_scores import lack_of_margin, negative_log_confidence, predictive_entropy
from bench.metrics.base import Family, Metric, SampleLimit, metrics
from bench.metrics.values import LABELS, Arrays, Change, Derived, Mean, Statistic, Value, names, of_reference, with_tail
from bench.probes.base import Probe
from bench.probes.corrupted_logits import CorruptedLogits, CorruptionOptions
from bench.probes.logits import Logits
from bench.registry import parameters
from bench.stats.percentile import percentile_interval
from bench.stats.resampling import Resamples

NEEDED = 10  # samples that flip, for an interval
NO_FLIPS = "no version of a sample flips under corruption, or every one does"
SCORES = {"margin": lack_of_margin, "entropy": predictive_entropy, "mcp": negative_log_confidence}


def classes_of(log_p: NDArray[np.float64]) -> NDArray[np.int64]:
    """The most probable class of each version, ties to the first: (n, kinds, severities, classes) to (n, ...)."""
    return np.asarray(log_p.argmax(axis=-1))


@dataclass(frozen=True)
class FlipStatistic(Statistic):
    """A figure of a network's flips, its last array (n,): an interval needs ten samples that flip."""

    def without_interval(self, *networks: Arrays) -> str:
        """Why there is no interval: too few samples flip in one network."""
        return next(filter(None, (too_few_flips(arrays[names(self.of)[-1]]) for arrays in networks)), "")


def too_few_flips(flipped: NDArray[np.float64]) -> str:
    """Why samples that flip (n,) are too few for an interval; empty where there are enough."""
    count = int(np.count_nonzero(flipped))
    return "" if count >= NEEDED else f"underpowered: {count} of {len(flipped)} samples flip, {NEEDED} are needed"


def _auroc(score: str) -> FlipStatistic:
    return FlipStatistic(
        f"{score}_auroc", flip_auroc, of=(of_reference(score), "shifted_flips"), better="none", largest=1.0,
        least=0.0, most=1.0, undefined=NO_FLIPS,
    )  # fmt: skip


def _margin_beside(score: str) -> FlipStatistic:
    return FlipStatistic(
        f"margin_auroc_beyond_{score}", flip_auroc_difference, better="none", largest=2.0, least=-1.0, most=1.0,
        undefined=NO_FLIPS, of=(of_reference("margin"), of_reference(score), "shifted_flips"),
    )  # fmt: skip


@metrics.register("adversarial.corruptions")
@parameters
class Corruptions(CorruptionOptions, Metric):
    """Eleven natural corruptions of images at five severities (arXiv 1903.12261), and where the networks part by them.

    ``corruption_error``: mean error over kinds and severities, not normalised by another network; null without labels.
    ``corruption_flip_rate``: mean share of corrupted versions whose class differs from the reference's. ``flip_ratio``:
    that over the flip rate on the clean images; null without clean flips. ``margin_auroc``: how well a small margin
    1 − (p₁ − p₂) of the reference on the clean image tells which versions flip, ½ = not at all; ``entropy_auroc`` and
    ``mcp_auroc`` (1 − p₁) likewise; ``margin_auroc_beyond_...``: the first less those (claims of arXiv 2204.04220).
    Intervals are over samples, whose versions go together. The reference has no flips and so no such figures.
    """

    samples: SampleLimit = 500

    family: ClassVar[Family] = "adversarial"
    by_default: ClassVar[bool] = False  # 55 forward passes a sample
    headline: ClassVar[str | None] = "corruption_flip_rate"
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("corrupted_classes", classes_of, of="corrupted_log_probabilities"),
        Derived("corrupted_wrong", classes_wrong, of=("corrupted_classes", LABELS)),
        Derived("clean_flips", flips, of=("log_probabilities", of_reference("log_probabilities"))),
        Derived("shifted_flips", classes_differ, of=("corrupted_classes", of_reference("corrupted_classes"))),
        *(Derived(score, function, of="log_probabilities") for score, function in SCORES.items()),
    )
    values: ClassVar[tuple[Value, ...]] = (
        *with_tail(
            Change(
                "corruption_flip_rate", classes_differ, of="corrupted_classes", power=1, unit="proportion", largest=1.0
            )
        ),
        Mean("corruption_error", of="corrupted_wrong", better="lower", unit="proportion", largest=1.0),
        FlipStatistic(
            "flip_ratio", flip_ratio, of=("shifted_flips", "clean_flips"), better="none", unit="ratio", least=0.0,
            undefined="no sample flips on the clean images",
        ),
        *(_auroc(score) for score in SCORES),
        *(_margin_beside(score) for score in SCORES if score != "margin"),
    )  # fmt: skip

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Clean and corrupted images."""
        return Logits(), CorruptedLogits(kinds=self.kinds, severities=self.severities)

    def protocol(self) -> dict[str, Any]:
        """What is averaged, and what images are."""
        return {
            **super().protocol(),
            "mean": "over kinds and severities, equally",
            "pixels": "not rounded to 8 bits, but by JPEG",
            "random numbers": "keyed by kind, seed and sample: the same for every network",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Error and flips of each kind and severity, and how well scores of the very version tell its flip."""
        if "corrupted_classes" not in arrays:
            return {}
        told: dict[str, Any] = {"n": len(arrays["corrupted_classes"]), "severities": list(self.severities)}
        if "corrupted_wrong" in arrays:
            wrong = arrays["corrupted_classes"] != arrays[LABELS][:, None, None]
            told["error"] = self._table(wrong)
            told["clean_error"] = float((arrays["log_probabilities"].argmax(axis=1) != arrays[LABELS]).mean())
        if of_reference("corrupted_classes") not in arrays:
            return told
        flipped = arrays["corrupted_classes"] != arrays[of_reference("corrupted_classes")]
        if not flipped.any():
            return told
        clean = arrays["clean_flips"]
        told |= {"flip_rate": self._table(flipped), "clean_flip_rate": float(clean.mean())}
        few = {"flip_ratio": too_few_flips(clean), "auroc": too_few_flips(arrays["shifted_flips"])}
        told |= {"underpowered": {name: why for name, why in few.items() if why}} if any(few.values()) else {}
        return told | {"auroc_on_the_version_itself": self._own_aurocs(arrays, flipped)}

    def _table(self, events: NDArray[np.bool_]) -> dict[str, list[float]]:
        """Rates by kind, one for each severity."""
        return dict(zip(self.kinds, events.mean(axis=0).tolist(), strict=True))

    @staticmethod
    def _own_aurocs(arrays: Arrays, flipped: NDArray[np.bool_]) -> dict[str, Any]:
        """The area for the reference's score of each version, with its 95 % interval where samples suffice."""
        log_p, n = arrays[of_reference("corrupted_log_probabilities")], len(flipped)
        told: dict[str, Any] = {}
        for score, function in SCORES.items():
            own = function(log_p.reshape(-1, log_p.shape[-1])).reshape(n, -1)
            found = clustered_auroc(own, flipped.reshape(n, -1))
            if found is None:
                continue
            told[score] = {"area": found.area}
            if not too_few_flips(arrays["shifted_flips"]):
                draws = found.area + Resamples(n).means(found.influence)
                low, high, _ = percentile_interval(draws, samples=n).within(0.0, 1.0)
                told[score]["ci"] = [low, high]
        return told

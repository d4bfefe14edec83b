"""The metric of natural corruptions: what a network makes of images that cameras and files have spoilt."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.functional.divergences import flips
from bench.functional.flips_under_shift import classes_differ, classes_wrong, flip_ratio
from bench.functional.ood_scores import lack_of_margin, negative_log_confidence, predictive_entropy
from bench.metrics.base import Family, Metric, SampleLimit, metrics
from bench.metrics.flip_statistics import FlipStatistic, clean_areas, too_few_flips, version_areas
from bench.metrics.values import LABELS, Arrays, Change, Derived, Mean, Value, of_reference, with_tail
from bench.probes.base import Probe
from bench.probes.corrupted_logits import CorruptedLogits, CorruptionOptions
from bench.probes.logits import Logits
from bench.registry import parameters

SCORES = {"margin": lack_of_margin, "entropy": predictive_entropy, "mcp": negative_log_confidence}


def versions(log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kinds and severities as one axis: (n, kinds, severities, classes) to (n, versions, classes)."""
    return log_p.reshape(len(log_p), -1, log_p.shape[-1])


def classes_of(log_p: NDArray[np.float64]) -> NDArray[np.int64]:
    """The most probable class, ties to the first: (n, versions, classes) to (n, versions)."""
    return np.asarray(log_p.argmax(axis=-1))


@metrics.register("adversarial.corruptions")
@parameters
class Corruptions(CorruptionOptions, Metric):
    """Eleven natural corruptions of images at five severities (arXiv 1903.12261), and where networks part under them.

    ``corruption_error``: mean error over kinds and severities, not normalised by another network; null without labels.
    ``corruption_flip_rate``: mean share of an image's corrupted versions whose class is not the reference's.
    ``flips_added``: that less the flip rate on the clean images; ``flip_ratio``: over it, null without clean flips.
    ``margin_auroc``: how well a small margin p₁ − p₂ of the reference on the corrupted image tells that it flips, ½ =
    not at all; ``entropy_auroc`` and ``mcp_auroc`` (of 1 − p₁) likewise; ``margin_auroc_beyond_...``: the first less
    those. ``clean_...``: the same where the reference is looked at on the clean image, before anything happens to it.
    Claims of arXiv 2204.04220. Intervals are over images, whose versions go together; beside itself a network has no
    such areas, and no ratio.
    """

    samples: SampleLimit = 500

    family: ClassVar[Family] = "adversarial"
    by_default: ClassVar[bool] = False  # 55 forward passes a sample
    headline: ClassVar[str | None] = "corruption_flip_rate"
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("versions", versions, of="corrupted_log_probabilities"),
        Derived("version_classes", classes_of, of="versions"),
        Derived("version_flips", np.not_equal, of=("version_classes", of_reference("version_classes"))),
        Derived("wrong_versions", classes_wrong, of=("version_classes", LABELS)),
        Derived("shifted_flips", classes_differ, of=("version_classes", of_reference("version_classes"))),
        Derived("clean_flips", flips, of=("log_probabilities", of_reference("log_probabilities"))),
        Derived("flips_added", np.subtract, of=("shifted_flips", "clean_flips")),
        *(Derived(f"clean_{score}", function, of="log_probabilities") for score, function in SCORES.items()),
        *(Derived(score, function, of="versions") for score, function in SCORES.items()),
    )
    values: ClassVar[tuple[Value, ...]] = (
        *with_tail(
            Change(
                "corruption_flip_rate", classes_differ, of="version_classes", power=1, unit="proportion", largest=1.0
            )
        ),
        Mean("corruption_error", of="wrong_versions", better="lower", unit="proportion", largest=1.0),
        Mean("flips_added", of="flips_added", better="none", unit="proportion", largest=1.0),
        FlipStatistic(
            "flip_ratio", flip_ratio, of=("shifted_flips", "clean_flips"), better="none", unit="ratio", least=0.0,
            undefined="no sample flips on the clean images",
        ),
        *version_areas("margin", "entropy", "mcp"),
        *clean_areas("margin", "entropy", "mcp"),
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
        """Error and flip rate of each kind and severity, those on the clean images, and which flips are too few."""
        if "version_classes" not in arrays:
            return {}
        told: dict[str, Any] = {"n": len(arrays["version_classes"]), "severities": list(self.severities)}
        if LABELS in arrays:
            told["error"] = self._table(arrays["version_classes"] != arrays[LABELS][:, None])
            told["clean_error"] = float((arrays["log_probabilities"].argmax(axis=1) != arrays[LABELS]).mean())
        if "version_flips" not in arrays or not arrays["version_flips"].any():
            return told
        told["flip_rate"] = self._table(arrays["version_flips"])
        told["clean_flip_rate"] = float(arrays["clean_flips"].mean())
        few = {"clean": too_few_flips(arrays["clean_flips"]), "shifted": too_few_flips(arrays["shifted_flips"])}
        underpowered = {name: why for name, why in few.items() if why}
        return told | ({"underpowered": underpowered} if underpowered else {})

    def _table(self, events: NDArray[np.bool_]) -> dict[str, list[float]]:
        """Rates of events (n, versions) by kind, one for each severity."""
        rates = events.mean(axis=0).reshape(len(self.kinds), -1)
        return dict(zip(self.kinds, rates.tolist(), strict=True))

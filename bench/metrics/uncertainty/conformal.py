"""Do prediction sets still hold the right class as often as promised, and are they still as small?"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import CALIBRATION
from bench.errors import NotApplicable
from bench.functional.conformal import (
    adaptive_scores,
    conformal_rank,
    conformal_threshold,
    covered,
    least_ambiguous_scores,
    prediction_sets,
    sample_uniforms,
    set_size,
    sets_differ,
)
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import (
    IDS,
    LABELS,
    Arrays,
    Change,
    Derived,
    Mean,
    Proportion,
    Value,
    ids_on,
    labels_on,
    of_reference,
)
from bench.probes.base import Probe
from bench.probes.calibration_logits import CalibrationLogits
from bench.probes.logits import Logits
from bench.registry import parameters

SCORES = ("lac", "aps")


@dataclass(frozen=True)
class ThresholdAt:
    """The threshold at one level; equal levels are one function, so that what is derived is found again."""

    alpha: float

    def __call__(self, scores: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The threshold of calibration scores (m, classes), as a number (0-d)."""
        return conformal_threshold(scores, labels, self.alpha)


def _derived(score: str, alpha: float) -> tuple[Derived, ...]:
    """Threshold, sets, coverage and size by one score, with the own and with the reference's threshold."""
    threshold, kept = f"{score}_threshold", of_reference(f"{score}_threshold")
    every = [
        Derived(threshold, ThresholdAt(alpha), (f"{score}_calibration", labels_on(CALIBRATION)), rows=False),
        Derived(f"{score}_sets", prediction_sets, (f"{score}_scores", threshold)),
        Derived(f"{score}_sets_kept", prediction_sets, (f"{score}_scores", kept)),
    ]
    for which in ("", "_kept"):
        every += [
            Derived(f"{score}_covered{which}", covered, (f"{score}_sets{which}", LABELS)),
            Derived(f"{score}_size{which}", set_size, f"{score}_sets{which}"),
        ]
    return tuple(every)


def _values(score: str) -> tuple[Value, ...]:
    """Coverage and size with either threshold, and how many sets are others."""
    change = Change(
        f"{score}_set_change", sets_differ, f"{score}_sets_kept", power=1, unit="proportion", count=True, largest=1.0
    )
    every: list[Value] = [change]
    for which in ("", "_kept"):
        every += [
            Proportion(f"{score}_coverage{which}", of=f"{score}_covered{which}", better="higher"),
            Mean(f"{score}_set_size{which}", of=f"{score}_size{which}", better="lower", unit="classes"),
        ]
    return tuple(every)


@metrics.register("uncertainty.conformal")
@parameters
class Conformal(Metric):
    """Conformal prediction sets, their threshold found on the calibration split: coverage and mean size.

    ``lac_...``: the classes whose probability reaches the threshold (arXiv 1609.00451). ``aps_...``: randomised
    adaptive prediction sets (arXiv 2006.02544), one random number a sample, the same in every network. ``..._coverage``
    and ``..._set_size``: with each network's own threshold. ``..._kept``: with the reference's threshold, which a
    deployed system keeps when its network is replaced. ``..._set_change``: share of samples whose set, by the
    reference's threshold, holds other classes than the reference's.

    A coverage below 1 − alpha breaks the promise, so lower coverage is the harm; coverage beyond it is no gain of its
    own, since sets grow with it: its price is the harm in size. Intervals are over evaluation samples, given the
    calibration split: over calibration splits coverage varies by Beta(k, m + 1 − k), with m samples and
    k = ⌈(m + 1)(1 − alpha)⌉, which the interval of one network's coverage does not hold.
    """

    alpha: Annotated[float, Field(gt=0, lt=1, description="the share of right classes that sets may miss")] = 0.1

    family: ClassVar[Family] = "uncertainty"
    probes: ClassVar[tuple[Probe, ...]] = (Logits(), CalibrationLogits())
    values: ClassVar[tuple[Value, ...]] = (*_values("lac"), *_values("aps"))

    @property
    def derived(self) -> tuple[Derived, ...]:
        """Scores of evaluation and calibration samples, and what follows at this level."""
        known = "calibration_log_probabilities"
        return (
            Derived("uniforms", sample_uniforms, IDS),
            Derived("calibration_uniforms", sample_uniforms, ids_on(CALIBRATION)),
            Derived("lac_scores", least_ambiguous_scores, "log_probabilities"),
            Derived("lac_calibration", least_ambiguous_scores, known),
            Derived("aps_scores", adaptive_scores, ("log_probabilities", "uniforms")),
            Derived("aps_calibration", adaptive_scores, (known, "calibration_uniforms")),
            *(item for score in SCORES for item in _derived(score, self.alpha)),
        )

    def protocol(self) -> dict[str, Any]:
        """The level, where thresholds come from, and what intervals are conditional on."""
        return {
            **super().protocol(),
            "thresholds": "found on the calibration split",
            "aps": "randomised, one number a sample, keyed by its id",
            "intervals": "over evaluation samples, given the calibration split",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Thresholds, the number of calibration samples and their rank, and the share of empty sets."""
        with contextlib.suppress(NotApplicable, LookupError):
            size = len(arrays["lac_calibration"])
            told: dict[str, Any] = {"calibration_samples": size, "rank": conformal_rank(size, self.alpha)}
            told["lac_least_probability"] = float(np.exp(-arrays["lac_threshold"]))
            told["aps_threshold"] = float(arrays["aps_threshold"])
            for score in SCORES:
                told[f"{score}_empty_sets"] = float((arrays[f"{score}_size_kept"] == 0).mean())
            return told
        return {}

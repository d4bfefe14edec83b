"""How far is the nearest input that a network gets wrong?"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from bench.functional.named_quantiles import named_quantiles
from bench.functional.predictions import absolute_difference
from bench.functional.weighted_median import weighted_medians
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Arrays, Change, Mean, Statistic, Value, with_tail
from bench.probes.base import Probe
from bench.probes.minimum_norm import FINEST, MinimumNorm, MinimumNormOptions
from bench.registry import parameters

CURVE: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@metrics.register("adversarial.minimum_norm")
@parameters
class MinimumNormDistance(MinimumNormOptions, Metric):
    """The distance of the nearest input of another class that attacks find, in units of the input.

    ``log_distance_change``: mean over samples of ``|log d_f − log d_g|`` in nats; .1 is a tenth nearer or farther.
    Distances below half an 8-bit step, 1/510 of the bounds' span, count as that. ``log_distance``: mean of ``log d``,
    higher is better; its harm is how much nearer, on the logarithm. ``median_distance``: half of the samples, wrong
    ones with 0, have a wrong input so near. The fast minimum norm attack (arXiv 2102.12827) towards the nearest class
    (arXiv 2407.02240), the way to what it found halved ten times on the network as it runs, and confirmed by Auto-PGD
    at two radii. From above: the nearest there is may be nearer. Unlike a robust error at one epsilon it does not
    saturate.
    """

    family: ClassVar[Family] = "adversarial"
    by_default: ClassVar[bool] = False
    headline: ClassVar[str | None] = "log_distance_change"
    values: ClassVar[tuple[Value, ...]] = (
        *with_tail(Change("log_distance_change", absolute_difference, of="log_distance", power=1, unit="nats")),
        Mean("log_distance", of="log_distance", better="higher", unit="nats"),
        Statistic("median_distance", weighted_medians, of="distance", better="higher", least=0.0),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The search, as one probe."""
        return (MinimumNorm(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """What is looked for, and what counts."""
        return {
            **super().protocol(),
            "success": "a wrong class of the network as it runs, within the bounds",
            "finest": f"{FINEST:.5f} of the bounds' span",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Clean error, quantiles of the distances, samples without any, and how many Auto-PGD added at each radius."""
        right = arrays["clean_correct"].astype(bool)
        return {
            "clean_error": float(1.0 - right.mean()),
            "distance_quantiles": named_quantiles(arrays["distance"], CURVE),
            "not_reached": int((arrays["reached"] == 0).sum()),
            "missed": arrays["missed"].sum(axis=0).astype(int).tolist(),
            "zero_gradient_share": float(arrays["zero_gradient"][right].mean()) if right.any() else 0.0,
        }

"""The metric of expected gradients: attribution against what images look like, not against black."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.functional.integrated_gradients import completeness_error
from bench.functional.similarity import all_zero
from bench.metrics.attribution.maps import SIGNED, by_chance, protocol
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Arrays, Derived, Value
from bench.probes.base import Probe
from bench.probes.expected_gradients import ExpectedGradients as ExpectedGradientsProbe
from bench.probes.expected_gradients import ExpectedGradientsOptions
from bench.registry import parameters


@metrics.register("attribution.expected_gradients")
@parameters
class ExpectedGradients(ExpectedGradientsOptions, Metric):
    """Expected gradients (arXiv 1906.10670) of the centred logit of the reference's class.

    Baselines are samples of the calibration split (the first evaluated ones where it is empty). Every network is asked
    by the same draws of baselines and places, so that drawing adds no difference; there are as many as it takes two
    independent runs on the reference to agree (``rerun_ceiling``, the mean cosine). Values as of ``attribution.ig``.
    """

    family: ClassVar[Family] = "attribution"
    pictured: ClassVar[str] = "attribution"
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("zero_map", all_zero, of="attribution"),
        Derived("completeness_error", completeness_error, of=("attribution", "logit_change")),
    )
    values: ClassVar[tuple[Value, ...]] = SIGNED

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attribution maps, as the metric's one probe."""
        return (ExpectedGradientsProbe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """Draws and what is explained."""
        return protocol({**super().protocol(), "coupling": "common baselines and places"}, self.explained)

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the completeness error, and samples without any attribution."""
        error = np.quantile(arrays["completeness_error"], (0.5, 0.95, 1.0))
        return {
            "completeness_error_quantiles": dict(zip(("0.5", "0.95", "1"), map(float, error), strict=True)),
            "zero_maps": int(arrays["zero_map"].sum()),
            "similarity_to_other_images": by_chance(arrays["attribution"]),
        }

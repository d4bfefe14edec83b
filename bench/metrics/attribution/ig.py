"""The metric of integrated gradients: the pixels that carry the evidence for a class."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.functional.integrated_gradients import completeness_error
from bench.functional.similarity import all_zero
from bench.metrics.attribution.maps import SIGNED, by_chance, protocol
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Arrays, Derived, Value
from bench.probes.base import Probe
from bench.probes.integrated_gradients import IntegratedGradients as IntegratedGradientsProbe
from bench.probes.integrated_gradients import IntegratedGradientsOptions
from bench.registry import parameters


@metrics.register("attribution.ig")
@parameters
class IntegratedGradients(IntegratedGradientsOptions, Metric):
    """Integrated gradients (arXiv 1703.01365) of the centred logit of the reference's class, by Gauss-Legendre.

    Every network is asked for the same class at the same nodes, as many as make the reference's attributions complete.
    ``cosine_distance`` and ``spearman_distance`` compare signed maps: 0 the same, 1 unrelated, 2 opposite.
    ``top_k_jaccard_distance``: of the k % of pixels of largest magnitude, 0 to 1. ``sign_disagreement``: the share of
    attribution whose sign differs. ``ssim_distance``: 1 − structural similarity. Where both maps are zero a distance is
    0, where one is, 1.
    """

    version: ClassVar[int] = 2
    family: ClassVar[Family] = "attribution"
    pictured: ClassVar[str] = "attribution"
    headline: ClassVar[str | None] = "cosine_distance"
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("zero_map", all_zero, of="attribution"),
        Derived("completeness_error", completeness_error, of=("attribution", "logit_change")),
    )
    values: ClassVar[tuple[Value, ...]] = SIGNED

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attribution maps, as the metric's one probe."""
        return (IntegratedGradientsProbe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """Rule, nodes, baseline and what is explained."""
        baseline = "lower bound" if self.baseline is None else self.baseline
        return protocol({**super().protocol(), "rule": "Gauss-Legendre", "baseline": baseline}, self.explained)

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the completeness error and of the nodes, and samples without any attribution."""
        error = np.quantile(arrays["completeness_error"], (0.5, 0.95, 1.0))
        nodes = np.quantile(arrays["steps"], (0.5, 0.95, 1.0))
        return {
            "completeness_error_quantiles": dict(zip(("0.5", "0.95", "1"), map(float, error), strict=True)),
            "steps_quantiles": dict(zip(("0.5", "0.95", "1"), map(float, nodes), strict=True)),
            "zero_maps": int(arrays["zero_map"].sum()),
            "similarity_to_other_images": by_chance(arrays["attribution"]),
        }

"""The metric of integrated gradients: the pixels that carry the evidence for a class."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bench.functional.similarity import all_zero, cosine_distance, spearman_distance
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Arrays, Change, Derived, Value, with_tail
from bench.probes.base import Probe
from bench.probes.integrated_gradients import IntegratedGradients as IntegratedGradientsProbe
from bench.registry import parameters


@metrics.register("attribution.ig")
@parameters
class IntegratedGradients(Metric):
    """Integrated gradients (arXiv 1703.01365) of the centred logit of the reference's class, by Gauss-Legendre.

    Every network is asked for the same class at the same nodes. ``cosine_distance`` and ``spearman_distance`` compare
    signed maps: 0 the same, 1 unrelated, 2 opposite. Where both maps are zero the distance is 0, where one is, 1;
    for Spearman the same holds of constant maps, and tied pixels share their mean rank.
    """

    steps: Annotated[int, Field(ge=1, description="Gauss-Legendre nodes from the baseline to the image")] = 50
    baseline: Annotated[
        float | None, Field(description="value of every pixel of the baseline; the lower bound by default")
    ] = None

    family: ClassVar[Family] = "attribution"
    headline: ClassVar[str | None] = "cosine_distance"
    derived: ClassVar[tuple[Derived, ...]] = (Derived("zero_map", all_zero, of="attribution"),)
    values: ClassVar[tuple[Value, ...]] = (
        *with_tail(Change("cosine_distance", cosine_distance, of="attribution", power=2, largest=2.0)),
        *with_tail(Change("spearman_distance", spearman_distance, of="attribution", power=2, largest=2.0)),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attribution maps, as the metric's one probe."""
        return (IntegratedGradientsProbe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """Rule, nodes, baseline and what is explained."""
        baseline = "lower bound" if self.baseline is None else self.baseline
        explained = "centred logit of the reference's class"
        return {**super().protocol(), "rule": "Gauss-Legendre", "baseline": baseline, "explained": explained}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the completeness error, and samples without any attribution."""
        quantiles = np.quantile(arrays["completeness_error"], (0.5, 0.95, 1.0))
        return {
            "completeness_error_quantiles": dict(zip(("0.5", "0.95", "1"), map(float, quantiles), strict=True)),
            "zero_maps": int(arrays["zero_map"].sum()),
        }

"""The metric of GradientSHAP: gradients at random points between a baseline and the noisy input."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.metrics.attribution.maps import SIGNED, protocol
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.gradient_shap import GradientShap as GradientShapProbe
from bench.probes.gradient_shap import GradientShapOptions
from bench.registry import parameters


@metrics.register("attribution.gradient_shap")
@parameters
class GradientShap(GradientShapOptions, Metric):
    """GradientSHAP (arXiv 1705.07874) of the centred logit: (x + ε − x′) times the gradient at a random point between.

    One backward pass a draw. Every network is given the same noise ε and the same points of a sample. The baseline x′
    has one value: expected gradients, whose baselines are real samples and whose number of draws adapts, are the
    better choice where they are at hand. Positive where the input speaks for the class. ``cosine_distance`` and the
    other values are those of attribution.ig: 0 for equal maps.
    """

    family: ClassVar[Family] = "attribution"
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attribution maps, as the metric's one probe."""
        return (GradientShapProbe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """Noise, draws, baseline and what is explained."""
        return protocol({**super().protocol(), "baseline": self.baseline_in_words()}, self.explained)

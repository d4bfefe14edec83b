"""The metric of GradientSHAP: gradients at random points between a baseline and the noisy input."""

from __future__ import annotations

from typing import ClassVar

from bench.metrics.attribution.maps import SIGNED, MapMetric
from bench.metrics.base import metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.gradient_shap import GradientShap as GradientShapProbe
from bench.probes.gradient_shap import GradientShapOptions
from bench.registry import parameters


@metrics.register("attribution.gradient_shap")
@parameters
class GradientShap(GradientShapOptions, MapMetric):
    """GradientSHAP (arXiv 1705.07874) of the centred logit: (x + ε − x′) times the gradient at a random point between.

    One backward pass a draw. Every network is given the same noise ε and the same points of a sample. The baseline x′
    has one value: expected gradients, whose baselines are real samples and whose number of draws adapts, are the
    better choice where they are at hand. Positive where the input speaks for the class. ``cosine_distance`` and the
    other values are those of attribution.ig: 0 for equal maps.
    """

    probe: ClassVar[type[Probe]] = GradientShapProbe
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

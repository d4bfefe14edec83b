"""The metric of KernelSHAP: Shapley values of segments of the input."""

from __future__ import annotations

from typing import ClassVar

from bench.metrics.attribution.maps import SIGNED, MapMetric
from bench.metrics.base import SampleLimit, metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.kernel_shap import KernelShap as KernelShapProbe
from bench.probes.kernel_shap import KernelShapOptions
from bench.registry import parameters


@metrics.register("attribution.kernel_shap")
@parameters
class KernelShap(KernelShapOptions, MapMetric):
    """KernelSHAP (arXiv 1705.07874): Shapley values of the centred logit, of a grid of segments or of features.

    It needs no gradient. Every network is asked for the same coalitions of a sample, one forward pass each, in
    complementary pairs; all of them, and exactly, where there are few enough. A map adds up to f(x) − f(baseline) and
    is positive where the input speaks for the class. ``cosine_distance`` and the other values are those of
    attribution.ig: 0 for equal maps.
    """

    samples: SampleLimit = 32

    probe: ClassVar[type[Probe]] = KernelShapProbe
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

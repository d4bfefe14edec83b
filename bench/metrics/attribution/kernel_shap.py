"""The metric of KernelSHAP: Shapley values of segments of the input."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.metrics.attribution.maps import SIGNED, protocol
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.kernel_shap import KernelShap as KernelShapProbe
from bench.probes.kernel_shap import KernelShapOptions
from bench.registry import parameters


@metrics.register("attribution.kernel_shap")
@parameters
class KernelShap(KernelShapOptions, Metric):
    """KernelSHAP (arXiv 1705.07874): Shapley values of the centred logit, of a grid of segments or of features.

    It needs no gradient. Every network is asked for the same coalitions of a sample, one forward pass each, in
    complementary pairs; all of them, and exactly, where there are few enough. A map adds up to f(x) − f(baseline) and
    is positive where the input speaks for the class. ``cosine_distance`` and the other values are those of
    attribution.ig: 0 for equal maps.
    """

    samples: Annotated[int | None, Field(gt=0, description="the first n of the evaluation order, else all")] = 32
    family: ClassVar[Family] = "attribution"
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attribution maps, as the metric's one probe."""
        return (KernelShapProbe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """Coalitions, segments, baseline and what is explained."""
        return protocol({**super().protocol(), "baseline": self.baseline_in_words()}, self.explained)

"""The metric of saliency: the input gradient."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.metrics.attribution.maps import SIGNED, protocol
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.saliency import Saliency as SaliencyProbe
from bench.probes.saliency import SaliencyOptions
from bench.registry import parameters


@metrics.register("attribution.saliency")
@parameters
class Saliency(SaliencyOptions, Metric):
    """Saliency (arXiv 1312.6034): the gradient of the centred logit with respect to the input, signed.

    One backward pass. Positive where a larger value would speak more for the class. It is the gradient at one point,
    and changes more between two networks than means over many points do (attribution.ig, attribution.smoothgrad).
    ``cosine_distance`` and the other values are those of attribution.ig: 0 for equal maps.
    """

    family: ClassVar[Family] = "attribution"
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attribution maps, as the metric's one probe."""
        return (SaliencyProbe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """What is explained."""
        return protocol(super().protocol(), self.explained)

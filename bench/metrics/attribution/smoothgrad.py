"""The metric of SmoothGrad: the mean input gradient under noise."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.metrics.attribution.maps import SIGNED, protocol
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.smoothgrad import SmoothGrad as SmoothGradProbe
from bench.probes.smoothgrad import SmoothGradOptions
from bench.registry import parameters


@metrics.register("attribution.smoothgrad")
@parameters
class SmoothGrad(SmoothGradOptions, Metric):
    """SmoothGrad (arXiv 1706.03825): the mean gradient of the centred logit over Gaussian noise on the input, signed.

    One backward pass a draw. Every network is given the same noise of a sample. Positive where a larger value would
    speak more for the class. ``cosine_distance`` and the other values are those of attribution.ig: 0 for equal maps.
    """

    family: ClassVar[Family] = "attribution"
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attribution maps, as the metric's one probe."""
        return (SmoothGradProbe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """Noise, draws and what is explained."""
        return protocol(super().protocol(), self.explained)

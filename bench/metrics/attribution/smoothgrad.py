"""The metric of SmoothGrad: the mean input gradient under noise."""

from __future__ import annotations

from typing import ClassVar

from bench.metrics.attribution.maps import SIGNED, MapMetric
from bench.metrics.base import metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.smoothgrad import SmoothGrad as SmoothGradProbe
from bench.probes.smoothgrad import SmoothGradOptions
from bench.registry import parameters


@metrics.register("attribution.smoothgrad")
@parameters
class SmoothGrad(SmoothGradOptions, MapMetric):
    """SmoothGrad (arXiv 1706.03825): the mean gradient of the centred logit over Gaussian noise on the input, signed.

    One backward pass a draw. Every network is given the same noise of a sample. Positive where a larger value would
    speak more for the class. ``cosine_distance`` and the other values are those of attribution.ig: 0 for equal maps.
    """

    probe: ClassVar[type[Probe]] = SmoothGradProbe
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

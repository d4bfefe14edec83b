"""The metric of saliency: the input gradient."""

from __future__ import annotations

from typing import ClassVar

from bench.metrics.attribution.maps import SIGNED, MapMetric
from bench.metrics.base import metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.saliency import Saliency as SaliencyProbe
from bench.probes.saliency import SaliencyOptions
from bench.registry import parameters


@metrics.register("attribution.saliency")
@parameters
class Saliency(SaliencyOptions, MapMetric):
    """Saliency (arXiv 1312.6034): the gradient of the centred logit with respect to the input, signed.

    One backward pass. Positive where a larger value would speak more for the class. It is the gradient at one point,
    and changes more between two networks than means over many points do (attribution.ig, attribution.smoothgrad).
    ``cosine_distance`` and the other values are those of attribution.ig: 0 for equal maps.
    """

    probe: ClassVar[type[Probe]] = SaliencyProbe
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

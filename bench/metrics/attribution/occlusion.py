"""The metric of occlusion: how far a score falls where a window is covered."""

from __future__ import annotations

from typing import ClassVar

from bench.metrics.attribution.maps import SIGNED, MapMetric
from bench.metrics.base import SampleLimit, metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.occlusion import Occlusion as OcclusionProbe
from bench.probes.occlusion import OcclusionOptions
from bench.registry import parameters


@metrics.register("attribution.occlusion")
@parameters
class Occlusion(OcclusionOptions, MapMetric):
    """Occlusion (arXiv 1311.2901): the mean fall of the centred logit over the windows that cover a place.

    It needs no gradient. Every network is shown the same windows, one forward pass each and one of the whole: 170 of
    an image of 28 x 28 pixels. Positive where the input speaks for the class. ``cosine_distance`` and the other
    values are those of attribution.ig: 0 for equal maps.
    """

    samples: SampleLimit = 32

    probe: ClassVar[type[Probe]] = OcclusionProbe
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = SIGNED

"""The metric of RISE: where a score is higher when a pixel is shown."""

from __future__ import annotations

from typing import ClassVar

from bench.metrics.attribution.maps import UNSIGNED, MapMetric
from bench.metrics.base import SampleLimit, metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.rise import Rise as RiseProbe
from bench.probes.rise import RiseOptions
from bench.registry import parameters


@metrics.register("attribution.rise")
@parameters
class Rise(RiseOptions, MapMetric):
    """RISE (arXiv 1806.07421): how much higher the centred logit is where random masks show a pixel.

    It needs no gradient. Every network is shown the same masks of a sample, one forward pass each; images alone. The
    mean score is taken off, so that no offset makes all maps alike. A map says where, and its sign depends on the
    average image under the masks: signs are not compared. ``cosine_distance`` and the other values are those of
    attribution.ig: 0 for equal maps.
    """

    samples: SampleLimit = 32

    probe: ClassVar[type[Probe]] = RiseProbe
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = UNSIGNED

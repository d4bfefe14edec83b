"""The metric of expected gradients: attribution against what images look like, not against black."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.metrics.attribution.maps import PathMetric
from bench.metrics.base import metrics
from bench.probes.base import Probe
from bench.probes.expected_gradients import ExpectedGradients as ExpectedGradientsProbe
from bench.probes.expected_gradients import ExpectedGradientsOptions
from bench.registry import parameters


@metrics.register("attribution.expected_gradients")
@parameters
class ExpectedGradients(ExpectedGradientsOptions, PathMetric):
    """Expected gradients (arXiv 1906.10670) of the centred logit of the reference's class.

    Baselines are samples of the calibration split (the first evaluated ones where it is empty). Every network is asked
    by the same draws of baselines and places, so that drawing adds no difference; there are as many as it takes two
    independent runs on the reference to agree (``rerun_ceiling``, the mean cosine). Values as of ``attribution.ig``.
    """

    probe: ClassVar[type[Probe]] = ExpectedGradientsProbe
    told: ClassVar[dict[str, Any]] = {"coupling": "common baselines and places"}

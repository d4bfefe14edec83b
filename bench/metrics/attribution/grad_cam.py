"""The metric of Grad-CAM: where the last feature map speaks for a class."""

from __future__ import annotations

from typing import ClassVar

from bench.metrics.attribution.maps import UNSIGNED, MapMetric
from bench.metrics.base import metrics
from bench.metrics.values import Value
from bench.probes.base import Probe
from bench.probes.grad_cam import GradCam as GradCamProbe
from bench.probes.grad_cam import GradCamOptions
from bench.registry import parameters


@metrics.register("attribution.grad_cam")
@parameters
class GradCam(GradCamOptions, MapMetric):
    """Grad-CAM (arXiv 1610.02391) of the centred logit: where the last feature map speaks for a class.

    One backward pass. The feature map is what the network's head reads: behind the last convolution, its BatchNorm,
    activation and shortcut, in front of the pool or the flattening. Maps are brought to the input's size, so that
    networks whose feature maps differ in size compare; they are 0 or more and say where alone: signs are not compared.
    ``cosine_distance`` and the other values are those of attribution.ig: 0 for equal maps.
    """

    probe: ClassVar[type[Probe]] = GradCamProbe
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = UNSIGNED

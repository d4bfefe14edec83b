"""The metric of integrated gradients: the pixels that carry the evidence for a class."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.metrics.attribution.maps import PathMetric, quantiles
from bench.metrics.base import metrics
from bench.metrics.values import Arrays
from bench.probes.base import Probe
from bench.probes.integrated_gradients import IntegratedGradients as IntegratedGradientsProbe
from bench.probes.integrated_gradients import IntegratedGradientsOptions
from bench.registry import parameters


@metrics.register("attribution.ig")
@parameters
class IntegratedGradients(IntegratedGradientsOptions, PathMetric):
    """Integrated gradients (arXiv 1703.01365) of the centred logit of the reference's class, by Gauss-Legendre.

    Every network is asked for the same class at the same nodes, as many as make the reference's attributions complete.
    ``cosine_distance`` and ``spearman_distance`` compare signed maps: 0 the same, 1 unrelated, 2 opposite.
    ``top_k_jaccard_distance``: of the k % of pixels of largest magnitude, 0 to 1. ``sign_disagreement``: the share of
    attribution whose sign differs. ``ssim_distance``: 1 − structural similarity. Where both maps are zero a distance is
    0, where one is, 1.
    """

    probe: ClassVar[type[Probe]] = IntegratedGradientsProbe
    told: ClassVar[dict[str, Any]] = {"rule": "Gauss-Legendre"}
    version: ClassVar[int] = 2
    headline: ClassVar[str | None] = "cosine_distance"

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Also the quantiles of the nodes."""
        return {**super().details(arrays), "steps_quantiles": quantiles(arrays["steps"])}

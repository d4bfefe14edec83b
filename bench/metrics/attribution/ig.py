"""Which pixels carry the evidence for a class?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import UserError
from bench.functional.integrated_gradients import completeness_error, integrated_gradients
from bench.functional.similarity import cosine_distance, spearman_distance
from bench.metrics.base import Arrays, Change, Family, Float, Metric, Observing, Value, metrics
from bench.metrics.evaluation import CODES, gradient_named, gradient_view
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch


def _cosine(a: Arrays, b: Arrays) -> Float:
    return cosine_distance(a["attribution"], b["attribution"])


def _spearman(a: Arrays, b: Arrays) -> Float:
    return spearman_distance(a["attribution"], b["attribution"])


@metrics.register("attribution.ig")
@parameters
class IntegratedGradients(Metric):
    """Integrated gradients (arXiv 1703.01365) of the centred logit of the reference's class, by Gauss-Legendre.

    Every network is asked for the same class at the same nodes. ``cosine_distance`` and ``spearman_distance`` compare
    signed maps: 0 the same, 1 unrelated, 2 opposite. Where both maps are zero the distance is 0, where one is, 1;
    for Spearman the same holds of constant maps, and tied pixels share their mean rank.
    """

    steps: Annotated[int, Field(ge=1, description="Gauss-Legendre nodes from the baseline to the image")] = 50
    baseline: Annotated[
        float | None, Field(description="value of every pixel of the baseline; the lower bound by default")
    ] = None

    family: ClassVar[Family] = "attribution"
    gradients: ClassVar[bool] = True
    anchored: ClassVar[bool] = True
    headline: ClassVar[str | None] = "cosine_distance"
    values: ClassVar[tuple[Value, ...]] = (
        Change("cosine_distance", _cosine, power=2, largest=2.0),
        Change("spearman_distance", _spearman, power=2, largest=2.0),
    )

    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """``attribution`` (n, channels, height, width) float64 and ``completeness_error`` (n,)."""
        import torch

        assert observing.anchor is not None
        assert len(observing.anchor) == len(samples)
        low, high = predictor.spec.input.bounds
        level = low if self.baseline is None else self.baseline
        if not low <= level <= high:
            raise UserError.at("attribution.ig.baseline", f"{level} is out of bounds", f"give {low} to {high}")

        with gradient_view(predictor, samples) as view:

            def attribute(x: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
                return integrated_gradients(view.module, x, torch.full_like(x, level), target, self.steps)

            maps, change = view.each_batch(attribute, samples.x, observing.anchor)
        if not np.isfinite(maps).all():
            raise FloatingPointError("the network gives NaN or infinite gradients")
        return {
            "attribution": maps,
            "completeness_error": completeness_error(maps, change),
            "gradient": np.array(CODES[view.gradient]),
        }

    def protocol(self) -> dict[str, Any]:
        """Rule, nodes, baseline and what is explained."""
        baseline = "lower bound" if self.baseline is None else self.baseline
        explained = "centred logit of the reference's class"
        return {**super().protocol(), "rule": "Gauss-Legendre", "baseline": baseline, "explained": explained}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the completeness error, samples without any attribution, and the kind of gradient."""
        quantiles = np.quantile(arrays["completeness_error"], (0.5, 0.95, 1.0))
        flat = arrays["attribution"].reshape(len(arrays["attribution"]), -1)
        return {
            "gradient": gradient_named(arrays["gradient"]),
            "completeness_error_quantiles": dict(zip(("0.5", "0.95", "1"), map(float, quantiles), strict=True)),
            "zero_maps": int((flat == 0).all(axis=1).sum()),
        }

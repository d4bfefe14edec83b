"""GradientSHAP: gradients at random points between a baseline and the noisy input, the same in every network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.probes.attribution import ExplainedClass, GradientAttribution
from bench.probes.base import Context, probes
from bench.probes.baseline import BaselineOption
from bench.probes.gradient_view import View
from bench.probes.saliency import input_gradients
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.streams import generator

METRIC = "attribution.gradient_shap"  # label of its random numbers too


@parameters
class GradientShapOptions(BaselineOption, ExplainedClass):
    """How much noise, how often, and from where."""

    noise: Annotated[
        float, Field(ge=0, description="standard deviation of the noise, as a share of the range of the bounds")
    ] = 0.1
    draws: Annotated[int, Field(ge=1, description="random points of a sample: backward passes a sample")] = 50


@probes.register("gradient-shap")
@parameters
class GradientShap(GradientShapOptions, GradientAttribution):
    """GradientSHAP (arXiv 1705.07874) of the centred logit f, from a baseline x′ of one value.

    The mean over draws of ``(x + ε − x′) ∂f/∂x (x′ + a (x + ε − x′))``, ε Gaussian, a uniform in [0, 1], and x + ε
    clipped to the bounds. A sample's ε and a depend on the seed and its id alone: every network is given the same.
    """

    random: ClassVar[bool] = True

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``attribution`` (n, ...) float64, logits."""
        low, high = predictor.spec.input.bounds
        noise, level = self.noise * (high - low), self.level(predictor, METRIC)
        streams = [generator(METRIC, context.seed, name) for name in samples.ids]
        each = (-1, *[1] * (samples.x.ndim - 1))
        total = np.zeros(samples.x.shape)
        for _ in range(self.draws):
            share = np.array([stream.random() for stream in streams]).reshape(each)
            drawn = np.stack([stream.standard_normal(samples.x.shape[1:]) for stream in streams])
            difference = np.clip(samples.x + noise * drawn, low, high) - level
            points = (level + share * difference).astype(np.float32)
            total += difference * input_gradients(view, points, classes)
        return {"attribution": total / self.draws}, {}

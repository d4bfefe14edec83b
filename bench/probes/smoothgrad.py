"""SmoothGrad: the mean input gradient under noise that every network is given alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.probes.attribution import ExplainedClass, GradientAttribution
from bench.probes.base import Context, probes
from bench.probes.gradient_view import View
from bench.probes.saliency import input_gradients
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.streams import generator

METRIC = "attribution.smoothgrad"  # label of its random numbers


@parameters
class SmoothGradOptions(ExplainedClass):
    """How much noise, and how often."""

    noise: Annotated[
        float, Field(gt=0, description="standard deviation of the noise, as a share of the range of the bounds")
    ] = 0.15
    draws: Annotated[int, Field(ge=1, description="noisy copies of a sample: backward passes a sample")] = 50


@probes.register("smoothgrad")
@parameters
class SmoothGrad(SmoothGradOptions, GradientAttribution):
    """SmoothGrad (arXiv 1706.03825): the mean signed gradient of the centred logit over noisy copies of the input.

    A sample's noise depends on the seed and its id alone: every network is given the same. Noisy copies are
    clipped to the bounds: beyond them an input quantiser saturates, and has no gradient where floats have one.
    """

    random: ClassVar[bool] = True

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``attribution`` (n, ...) float64, logits per unit of the input."""
        low, high = predictor.spec.input.bounds
        noise = np.float32(self.noise * (high - low))
        streams = [generator(METRIC, context.seed, name) for name in samples.ids]
        total = np.zeros(samples.x.shape)
        for _ in range(self.draws):
            drawn = np.stack([stream.standard_normal(samples.x.shape[1:], dtype=np.float32) for stream in streams])
            noisy = np.clip(samples.x + noise * drawn, np.float32(low), np.float32(high))
            total += input_gradients(view, noisy, classes)
        return {"attribution": total / self.draws}, {}

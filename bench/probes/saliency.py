"""Saliency: the input gradient of the centred logit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.functional.input_gradients import input_gradient
from bench.probes.attribution import ExplainedClass, GradientAttribution
from bench.probes.base import Context, probes
from bench.probes.gradient_view import View
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch


@parameters
class SaliencyOptions(ExplainedClass):
    """Nothing but what is explained."""


def input_gradients(view: View, x: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Input gradients (n, ...) of the centred logits of classes (n,), float64."""

    def gradient(x: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (input_gradient(view.module, x, target),)

    (found,) = view.each_batch(gradient, x, classes)
    return found


@probes.register("saliency")
@parameters
class Saliency(SaliencyOptions, GradientAttribution):
    """Saliency (arXiv 1312.6034): the gradient of the centred logit at the input, with its sign."""

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``attribution`` (n, ...) float64, logits per unit of the input."""
        return {"attribution": input_gradients(view, samples.x, classes)}, {}

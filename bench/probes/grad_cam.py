"""Grad-CAM of the last feature map, of torch networks and of imported graphs alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.functional.grad_cam import enlarged, grad_cam
from bench.functional.input_gradients import centred_logit
from bench.networks.network import spelled
from bench.probes.attribution import ExplainedClass, GradientAttribution
from bench.probes.base import Context, probes
from bench.probes.gradient_view import View
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch
    from torch import nn


@parameters
class GradCamOptions(ExplainedClass):
    """Nothing but what is explained: the layer is the same in every network, by what it does."""


@probes.register("grad-cam")
@parameters
class GradCam(GradCamOptions, GradientAttribution):
    """Grad-CAM (arXiv 1610.02391) of the centred logit at the last feature map, enlarged to the input's size."""

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``attribution`` (n, 1, height, width) float64, 0 or more."""
        if samples.x.ndim != 4:
            raise NotApplicable(f"Grad-CAM is of feature maps of images; these are {spelled(samples.x.shape[1:])}")
        height, width = samples.x.shape[2:]
        grid: tuple[int, ...] = ()

        def maps(x: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
            nonlocal grid
            import torch

            size = getattr(view.module, "fixed_batch", None) or len(x)  # a file of a fixed batch runs more than once
            pairs = zip(torch.split(x, size), torch.split(target, size), strict=True)
            found = torch.cat([class_activation(view.module, *pair) for pair in pairs])
            grid = tuple(found.shape[2:])
            return (enlarged(found, height, width),)

        (found,) = view.each_batch(maps, samples.x, classes)
        return {"attribution": found}, {"feature_map": list(grid)}


def class_activation(module: nn.Module, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Grad-CAM (n, 1, h, w) in the size of the last feature map; ``NotApplicable`` where there is none."""
    import torch

    from bench.networks.feature_maps import LastFeatureMap

    point = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        with LastFeatureMap() as seen:
            logits = module(point)
        score, features = centred_logit(logits, target).sum(), _features(seen)
        gradient = None
        if score.requires_grad and features.requires_grad:
            (gradient,) = torch.autograd.grad(score, features, allow_unused=True)
    if gradient is None:
        raise NotApplicable("its output does not depend on its last feature map: Grad-CAM has nothing to weigh it by")
    return grad_cam(features.detach(), gradient)[: len(x)]


def _features(seen: Any) -> torch.Tensor:
    if not seen.convolved:
        raise NotApplicable(
            "no convolution with more than one position was seen: Grad-CAM needs one, in code that is not TorchScript"
        )
    if seen.found is None:
        raise NotApplicable("no pool, flattening or sum ends its last feature map: Grad-CAM cannot tell what it reads")
    if seen.holds_codes:
        what = "its last feature map is read as codes of integers, whose zero point Grad-CAM does not know"
        raise NotApplicable(f"{what}; export it with the pool in floating point")
    features: torch.Tensor = seen.found
    return features

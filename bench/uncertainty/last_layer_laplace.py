"""One network whose last layer is sampled from its posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from bench.errors import UserError
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed
from bench.uncertainty.base import Labelled, Method, methods
from bench.uncertainty.side_by_side import need_training

if TYPE_CHECKING:
    from torch import nn

    from bench.functional.members.last_layer_laplace import Laplace

PRECISIONS: Final = np.logspace(-6, 6, 121)
LARGEST: Final = 4096  # weights of the layer: its covariance has their square
BATCH: Final = 256


@methods.register("last-layer-laplace")
@parameters
class LastLayerLaplace(Method):
    """Samples of the last linear layer on one trunk (Daxberger et al. 2021, arXiv 2106.14806).

    The posterior is ``N(θ, (H + τ I)⁻¹)``: θ the trained weights and biases, H the full generalised Gauss-Newton matrix
    summed over the training samples, τ the prior precision of the highest marginal likelihood among 121 from 1e-6 to
    1e6. The members' heads are one linear layer, so that a member costs its head alone.
    """

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse networks without a last linear layer, or with a large one, and recipes without training."""
        from bench.uncertainty.output_layer import linear_output

        need_training(recipe)
        name, layer = linear_output(model.build(declared), declared)
        count = layer.out_features * (layer.in_features + (layer.bias is not None))
        if count > LARGEST:
            what = f"the last layer {name!r} has {count} weights, their covariance has the square of that"
            raise UserError.at("reference.method", what, f"give an architecture with at most {LARGEST} there")

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The network with one head a member."""
        return self.with_heads(model.build(declared), declared)

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train by the recipe, then sample the heads."""
        import torch

        from bench.models.training import initialise, reproducible, train
        from bench.uncertainty.output_layer import linear_output

        network = train(initialise(model, declared, seed), samples, declared, recipe, seed, progress)
        posterior = self.posterior(network, samples, declared)
        progress(f"last-layer-laplace: prior precision {posterior.precision:.3g}")
        name, layer = linear_output(network, declared)
        drawn = posterior.samples(self.members, derive_seed("last-layer-laplace", seed))
        heads = torch.from_numpy(drawn).float().view(self.members * layer.out_features, -1)
        with reproducible("last-layer-laplace"):
            made = self.with_heads(network, declared)
        with torch.no_grad():
            made.get_submodule(name)[0].weight.copy_(heads[:, : layer.in_features])  # type: ignore[index]
            if layer.bias is not None:
                made.get_submodule(name)[0].bias.copy_(heads[:, -1])  # type: ignore[index]
        return made.eval()

    def posterior(self, network: nn.Module, samples: Labelled, declared: InputSpec) -> Laplace:
        """The Gaussian of the last layer's weights: of each class its weights, then its bias."""
        import torch

        from bench.functional.members.last_layer_laplace import gauss_newton, laplace
        from bench.models.training import preprocess, reproducible
        from bench.uncertainty.output_layer import linear_output

        _, layer = linear_output(network, declared)
        seen: list[torch.Tensor] = []
        handle = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        scores = []
        try:
            with reproducible("last-layer-laplace"), torch.no_grad():
                for start in range(0, len(samples.x), BATCH):
                    x = torch.from_numpy(samples.x[start : start + BATCH])
                    scores.append(network(preprocess(x, declared)))
        finally:
            handle.remove()
        features, weights = torch.cat(seen).double(), layer.weight.detach().double()
        if layer.bias is not None:
            features = torch.cat([features, torch.ones(len(features), 1)], dim=1)
            weights = torch.cat([weights, layer.bias.detach().double()[:, None]], dim=1)
        probabilities = torch.cat(scores).double().softmax(dim=1)
        return laplace(weights.flatten().numpy(), gauss_newton(features.numpy(), probabilities.numpy()), PRECISIONS)

    def with_heads(self, network: nn.Module, declared: InputSpec) -> nn.Module:
        """The network with its last layer once a member, each a copy; the network given is changed."""
        import torch
        from torch import nn

        from bench.uncertainty.output_layer import linear_output

        name, layer = linear_output(network, declared)
        wide = nn.Linear(layer.in_features, self.members * layer.out_features, layer.bias is not None)
        with torch.no_grad():
            for ours, theirs in zip(wide.parameters(), layer.parameters(), strict=True):
                ours.copy_(torch.cat([theirs] * self.members))
        heads = nn.Sequential(wide, nn.Unflatten(1, (self.members, layer.out_features)))
        if not name:
            return heads
        network.set_submodule(name, heads)
        return network

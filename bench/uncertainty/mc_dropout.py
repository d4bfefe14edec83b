"""Dropout that stays on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed, generator
from bench.uncertainty.base import Labelled, Method, methods

if TYPE_CHECKING:
    import torch
    from torch import nn


@methods.register("mc-dropout")
@parameters
class MonteCarloDropout(Method):
    """Dropout in training and answers alike, behind every hidden activation (Gal & Ghahramani, arXiv 1506.02142).

    Convolutions drop whole channels. The members' masks are drawn once and stored, the same for every sample
    (consistent dropout), so that a member is a function that can be exported. Kept units are divided by 1 - rate.
    """

    members: Annotated[int, Field(ge=2, description="masks that are drawn")] = 20
    rate: Annotated[float, Field(gt=0, lt=1, description="share of the units that is dropped")] = 0.1

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The network with a mask behind every hidden activation."""
        from bench.uncertainty.masked import masked

        return masked(model, declared, self.members, self.rate)

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train with fresh masks for every sample and step, then draw the members'."""
        from bench.models.training import reproducible, train
        from bench.uncertainty.masked import fill

        with reproducible("initialise", seed):
            network = self.build(model, declared).eval()
        trained = train(network, samples, declared, recipe, seed, progress)
        own = derive_seed("mc-dropout", seed)

        def drawn(number: int, units: int) -> torch.Tensor:
            import torch

            kept = generator("mc-dropout", own, number).random((self.members, units)) >= self.rate
            return torch.from_numpy(kept).float() / (1 - self.rate)

        fill(trained, drawn)
        return trained

"""Methods that drop parts of one network at random, and draw once what each member drops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed, generator
from bench.uncertainty.base import Labelled, Method

if TYPE_CHECKING:
    from torch import nn


@parameters
class DrawnOnce(Method):
    """Fresh draws for every sample and step of the training; afterwards the members' own, which are stored."""

    members: Annotated[int, Field(ge=2, description="sets of masks or gates that are drawn")] = 20

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train, then draw what the members keep: ``1 / (1 - rate)`` where it is kept, else 0."""
        import torch

        from bench.models.training import train
        from bench.networks.members import ByMember

        network = self.initialised(model, declared, seed)
        trained = train(network, samples, declared, recipe, seed, progress)
        own = derive_seed(self.name, seed)
        for number, part in enumerate(part for part in trained.modules() if isinstance(part, ByMember)):
            kept = generator(self.name, own, number).random(tuple(part.factors.flatten(1).shape)) >= part.rate
            part.fill(torch.from_numpy(kept).float() / (1 - part.rate))
        return trained

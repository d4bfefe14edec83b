"""Grouped layers: several networks in the shape of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.uncertainty.base import Labelled, Method, methods

if TYPE_CHECKING:
    from torch import nn


@methods.register("packed-ensemble")
@parameters
class PackedEnsemble(Method):
    """Members as the groups of grouped convolutions (Laurent et al. 2023, arXiv 2210.09184).

    Every hidden layer is ``width`` times as wide and cut into ``members split`` groups; the first layer reads the whole
    input for all members, the last one has a head a member. Linear layers become 1x1 convolutions. With width 2 and 4
    members the hidden layers have as many multiply-accumulates as one network's.
    """

    members: Annotated[int, Field(ge=2, description="groups of every layer")] = 4
    width: Annotated[int, Field(ge=1, description="how many times as wide all members together are")] = 2
    split: Annotated[int, Field(ge=1, description="groups within each member")] = 1

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The network with grouped layers."""
        from bench.uncertainty.grouping import grouped

        return grouped(model.build(declared), self.members, self.width, self.split)

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train all heads on the same batches; they differ by their initialisation."""
        from bench.models.training import train

        network = self.initialised(model, declared, seed)
        return train(network, samples, declared, recipe, seed, progress)

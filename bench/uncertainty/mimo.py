"""Several inputs and as many outputs of one network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.errors import UserError
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed
from bench.uncertainty.base import Labelled, Method, methods

if TYPE_CHECKING:
    import torch
    from torch import nn


@methods.register("mimo")
@parameters
class MultiInputMultiOutput(Method):
    """One network whose heads learn to answer one of several inputs each (Havasi et al. 2021, arXiv 2010.06610).

    The members' inputs stand side by side on the channels, a head reads each, and only the first and the last layer
    grow. In training the inputs are different samples, in evaluation the same one. ``same`` of the rows give all
    members the same sample in training too; each batch is repeated.
    """

    members: Annotated[int, Field(ge=1, description="inputs and heads; 1 is the plain network")] = 3
    same: Annotated[float, Field(ge=0, le=1, description="share of rows on which all inputs are one sample")] = 0.0
    repeat: Annotated[int, Field(ge=1, description="how often a sample stands in a batch; the batch holds fewer")] = 4

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse a batch that the repetitions do not divide."""
        if recipe.batch % self.repeat:
            what = f"a batch of {recipe.batch} does not hold each sample {self.repeat} times"
            raise UserError.at("reference.method.repeat", what, f"give a batch that is a multiple of {self.repeat}")
        self.build(model, declared)

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The network with more input channels and outputs."""
        from bench.networks.members import MultiInput

        shape = (self.members * declared.shape[0], *declared.shape[1:])
        classes = tuple(f"{member}/{name}" for member in range(self.members) for name in declared.classes)
        return MultiInput(model.build(replace(declared, shape=shape, classes=classes)), self.members)

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train with inputs that are drawn apart for every member."""
        import torch

        from bench.models.training import Additions, cross_entropy, train
        from bench.networks.members import MultiInput

        network = self.initialised(model, declared, seed)
        random = torch.Generator().manual_seed(derive_seed("mimo", seed))

        def loss_of(module: nn.Module, x: torch.Tensor, y: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            rows = self.rows(len(x), random)
            assert isinstance(module, MultiInput)
            scores = module.heads(torch.cat([x[own] for own in rows], dim=1))
            return cross_entropy(scores.flatten(0, 1), y[rows.T].flatten(), declared, recipe.label_smoothing)

        smaller = replace(recipe, batch=recipe.batch // self.repeat)
        return train(network, samples, declared, smaller, seed, progress, Additions(loss_of=loss_of))

    def rows(self, n: int, random: torch.Generator) -> torch.Tensor:
        """Which of n samples each member is given, (members, n repeat)."""
        import torch

        if self.members == self.repeat == 1:
            return torch.arange(n)[None]
        every = torch.arange(n).repeat(self.repeat)[torch.randperm(n * self.repeat, generator=random)]
        apart = round(len(every) * (1 - self.same))
        drawn = [every[:apart][torch.randperm(apart, generator=random)] for _ in range(self.members)]
        return torch.stack([torch.cat([own, every[apart:]]) for own in drawn])

"""Fixed, overlapping masks."""

from __future__ import annotations

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


@methods.register("masksembles")
@parameters
class Masksembles(Method):
    """Members that each keep a fixed part of the hidden channels (Durasov et al. 2021, arXiv 2012.08334).

    Two masks overlap by about ``1 / (2 scale - 1)``. A batch is shared out among the members in training. Nothing is
    divided by the share that is kept.
    """

    members: Annotated[int, Field(ge=2, description="masks")] = 4
    scale: Annotated[float, Field(gt=1, description="from 1, where all masks are alike; larger: less overlap")] = 2.0

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse a batch that the masks do not divide, and layers that are too narrow for them."""
        if recipe.batch % self.members:
            what = f"{self.members} masks do not divide a batch of {recipe.batch}"
            raise UserError.at("reference.method", what, f"give a batch that is a multiple of {self.members}")
        self._drawn(self.build(model, declared), 0)

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The network with a mask behind every hidden activation."""
        from bench.uncertainty.masked import masked

        return masked(model, declared, self.members)

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Draw the masks, then train with them."""
        from bench.models.training import train

        network = self.initialised(model, declared, seed)
        self._drawn(network, derive_seed("masksembles", seed))
        return train(network, samples, declared, recipe, seed, progress)

    def _drawn(self, network: nn.Module, seed: int) -> None:
        """Fill in the masks; ``UserError`` where a layer is too narrow."""
        import torch

        from bench.functional.members.masksembles import masksembles
        from bench.uncertainty.masked import fill

        def make(number: int, units: int) -> torch.Tensor:
            try:
                masks = masksembles(units, self.members, self.scale, seed, str(number))
            except ValueError as error:
                raise UserError.at("reference.method", str(error), "give wider layers, or another scale") from error
            return torch.from_numpy(masks).float()

        fill(network, make)

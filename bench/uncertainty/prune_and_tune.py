"""Complementary halves of one trained network, each tuned on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.errors import UserError
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed, generator
from bench.uncertainty.base import Labelled, methods
from bench.uncertainty.side_by_side import SideBySide, need_training, own_rate

if TYPE_CHECKING:
    import torch
    from torch import nn


@methods.register("prune-and-tune")
@parameters
class PruneAndTune(SideBySide):
    """Members that each keep half of the weights of one trained parent (Whitaker & Whitley 2022, arXiv 2202.11782).

    Of every two members one keeps a random half of each layer's weights, the other one the rest; then each is tuned
    with a one-cycle rate while the others stay 0. Biases, BatchNorm and the last layer are kept whole. A later step
    that trains fills the zeros again.
    """

    members: Annotated[int, Field(ge=2, description="pairs of complements make an even number")] = 6
    epochs: Annotated[int, Field(ge=1, description="of each member's tuning")] = 10
    learning_rate: Annotated[
        float | None, Field(gt=0, description="peak of the tuning's cycle; the recipe's by default")
    ] = None

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse an odd number of members, a recipe without training, and networks of one layer."""
        need_training(recipe)
        if self.members % 2:
            what = f"{self.members} members are not pairs of complements"
            raise UserError.at("reference.method", what, "give an even number")
        if not self.masked_layers(model.build(declared)):
            what = "the network has no layer beside the last one whose weights could be halved"
            raise UserError.at("reference.method", what, "give an architecture with a hidden layer")

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train the parent, then tune its halves."""
        from bench.models.training import Additions, initialise, train
        from bench.networks.members import Stacked

        parent = train(initialise(model, declared, seed), samples, declared, recipe, seed, progress)
        rate, key = own_rate(self.learning_rate, recipe.learning_rate)
        tuning = replace(recipe, epochs=self.epochs, learning_rate=rate)
        tuned = []
        for number in range(self.members):
            progress(f"member {number + 1}/{self.members}")
            masks = self.masks(parent, number, seed)
            own = derive_seed("prune-and-tune", seed, number)
            additions = Additions(project=_holding(masks), key=key)
            tuned.append(train(parent, samples, declared, tuning, own, progress, additions))
        return Stacked(tuned).eval()

    def masks(self, network: nn.Module, member: int, seed: int) -> dict[str, torch.Tensor]:
        """Of every layer that is halved 1 for the weights that a member keeps, in the shape of its weights."""
        import torch

        found = {}
        for name in self.masked_layers(network):
            weight = network.get_parameter(f"{name}.weight")
            order = generator("prune-and-tune", seed, member // 2, name).permutation(weight.numel())
            first = torch.zeros(weight.numel())
            first[torch.from_numpy(order[: weight.numel() // 2])] = 1
            found[name] = (1 - first if member % 2 else first).view(weight.shape)
        return found

    def masked_layers(self, network: nn.Module) -> list[str]:
        """Convolutions and linear layers but the last one, by name."""
        from torch import nn

        kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
        return [name for name, layer in network.named_modules() if isinstance(layer, kinds)][:-1]


def _holding(masks: dict[str, torch.Tensor]) -> Callable[[nn.Module], None]:
    """What sets the weights that a member does not keep to 0, in place."""
    import torch

    def hold(network: nn.Module) -> None:
        with torch.no_grad():
            for name, mask in masks.items():
                network.get_parameter(f"{name}.weight").mul_(mask)

    return hold

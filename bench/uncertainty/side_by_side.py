"""Methods whose members are whole networks of the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.models.base import Model, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.uncertainty.base import Method

if TYPE_CHECKING:
    from torch import nn


@parameters
class SideBySide(Method):
    """Members side by side, each with all weights of its own: the costs are those of as many networks."""

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The members, untrained."""
        from bench.networks.members import Stacked

        return Stacked([model.build(declared) for _ in range(self.members)])


def own_rate(given: float | None, usual: float) -> tuple[float, str]:
    """A method's own learning rate, else the usual one, and what the user calls the one that is taken.

    >>> own_rate(None, 0.01), own_rate(0.1, 0.01)
    ((0.01, 'recipe.learning_rate'), (0.1, 'reference.method.learning_rate'))
    """
    return (usual, "recipe.learning_rate") if given is None else (given, "reference.method.learning_rate")


def need_training(recipe: Recipe) -> None:
    """Raise ``UserError`` where a method that starts from a trained network gets a recipe without training."""
    if recipe.epochs < 1:
        what = "the method starts from a trained network, the recipe has 0 epochs"
        raise UserError.at("recipe.epochs", what, "give 1 or more")


def need_plain_loss(recipe: Recipe) -> None:
    """Raise ``UserError`` where the loss would read the layers of a network whose weights are sums of others."""
    if recipe.lipschitz_margin > 0:
        what = "the Lipschitz margin reads the layers of one network, this method trains sums of several"
        raise UserError.at("recipe.lipschitz_margin", what, "leave it out")

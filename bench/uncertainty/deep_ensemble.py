"""Independent trainings side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from bench.errors import UserError
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed
from bench.uncertainty.base import Labelled, methods
from bench.uncertainty.side_by_side import SideBySide

if TYPE_CHECKING:
    from torch import nn


@methods.register("deep-ensemble")
@parameters
class DeepEnsemble(SideBySide):
    """Networks that differ in initialisation and order alone (Lakshminarayanan et al. 2017, arXiv 1612.01474).

    ``equal``: what all members together share with one network: its multiply-accumulates, each member being
    narrower, or its epochs, each being trained for a part of them. The fair rivals of methods that cost no more.
    """

    equal: Annotated[
        Literal["nothing", "macs", "epochs"], Field(description="what the members together have no more of than one")
    ] = "nothing"

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse an architecture without widths to share out, and fewer epochs than members."""
        self._recipe(recipe)
        self.build(model, declared)

    def _recipe(self, recipe: Recipe) -> Recipe:
        if self.equal != "epochs":
            return recipe
        if recipe.epochs < self.members:
            what = f"{recipe.epochs} epochs are fewer than {self.members} members"
            raise UserError.at("reference.method.equal", what, "give more epochs, or fewer members")
        return replace(recipe, epochs=recipe.epochs // self.members)

    def member(self, model: Model, declared: InputSpec) -> Model:
        """The architecture of one member."""
        if self.equal != "macs":
            return model
        from bench.models.scaling import counted, nearest_width
        from bench.models.training import initialise

        where = "reference.method.equal"
        wanted = counted(initialise(model, declared, 0), declared, where) // self.members
        return nearest_width(model, declared, wanted, where).model

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The members, untrained."""
        from bench.networks.members import Stacked

        member = self.member(model, declared)
        return Stacked([member.build(declared) for _ in range(self.members)])

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train each member by the whole recipe."""
        from bench.models.training import initialise, train
        from bench.networks.members import Stacked

        trained = []
        member, recipe = self.member(model, declared), self._recipe(recipe)
        for number in range(self.members):
            own = derive_seed("deep-ensemble", seed, number)
            progress(f"member {number + 1}/{self.members}")
            trained.append(
                train(initialise(member, declared, own), self.share(samples, own), declared, recipe, own, progress)
            )
        return Stacked(trained).eval()

    def share(self, samples: Labelled, seed: int) -> Labelled:
        """The samples that a member learns from: all."""
        return samples

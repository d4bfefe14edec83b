"""One training whose learning rate falls several times: the network is kept each time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed
from bench.uncertainty.base import Labelled, methods
from bench.uncertainty.side_by_side import SideBySide

if TYPE_CHECKING:
    from torch import nn


@methods.register("snapshot-ensemble")
@parameters
class SnapshotEnsemble(SideBySide):
    """The network at the end of each of M cycles of one training (Huang et al. 2017, arXiv 1704.00109).

    The recipe's epochs are shared out over the cycles, so that all members together cost one training. In each of T
    steps the rate falls as ``½ rate (1 + cos(π t / T))``, from the recipe's peak to 0. The optimiser starts anew with
    every cycle, which then leaves the last network.
    """

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse epochs that the cycles do not divide."""
        if recipe.epochs < self.members or recipe.epochs % self.members:
            what = f"{self.members} cycles do not divide {recipe.epochs} epochs"
            raise UserError.at("recipe.epochs", what, f"give a multiple of {self.members}, at least one a cycle")
        super().check(model, declared, recipe)

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train cycle after cycle, each from where the last one ended."""
        from bench.models.training import Additions, initialise, train
        from bench.networks.members import Stacked

        network = initialise(model, declared, seed)
        cycle = replace(recipe, epochs=recipe.epochs // self.members)
        kept = []
        for number in range(self.members):
            progress(f"cycle {number + 1}/{self.members}")
            own = derive_seed("snapshot-ensemble", seed, number)
            network = train(network, samples, declared, cycle, own, progress, Additions(schedule="cosine"))
            kept.append(network)
        return Stacked(kept).eval()

"""Independent trainings side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """Networks that differ in initialisation and order alone (Lakshminarayanan et al. 2017, arXiv 1612.01474)."""

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train each member by the whole recipe."""
        from bench.models.training import initialise, train
        from bench.networks.members import Stacked

        trained = []
        for number in range(self.members):
            own = derive_seed("deep-ensemble", seed, number)
            progress(f"member {number + 1}/{self.members}")
            trained.append(
                train(initialise(model, declared, own), self.share(samples, own), declared, recipe, own, progress)
            )
        return Stacked(trained).eval()

    def share(self, samples: Labelled, seed: int) -> Labelled:
        """The samples that a member learns from: all."""
        return samples

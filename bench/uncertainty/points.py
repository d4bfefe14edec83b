"""Methods whose members are points of a part of weight space."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed
from bench.uncertainty.base import Labelled
from bench.uncertainty.side_by_side import SideBySide, need_plain_loss, need_training

if TYPE_CHECKING:
    from torch import nn

    from bench.uncertainty.weight_space import WeightSpace

Shape: TypeAlias = Literal["line", "curve", "simplex"]


@parameters
class PointsInSpace(SideBySide):
    """Members with weights of their own, each with the BatchNorm statistics that they have."""

    batch_norm_samples: Annotated[int, Field(ge=2, description="training samples for BatchNorm statistics")] = 512

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse a recipe without training, and losses that read layers."""
        need_training(recipe)
        need_plain_loss(recipe)
        super().check(model, declared, recipe)

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train the vertices, and take members between them."""
        from bench.uncertainty.weight_space import members_at
        from bench.uncertainty.weight_vectors import some_samples

        space = self.space(model, samples, declared, recipe, seed, progress)
        images = some_samples(samples, self.batch_norm_samples, derive_seed(self.name, seed))
        return members_at(space, self.points(seed), images, declared)

    @property
    @abstractmethod
    def form(self) -> Shape:
        """What the vertices span: their line, the Bezier curve of the three, or all mixtures."""

    @abstractmethod
    def space(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> WeightSpace:
        """The trained vertices; its ``at`` gives the network at any point."""

    @abstractmethod
    def points(self, seed: int) -> NDArray[np.float64]:
        """Where the members are: weights of the vertices (members, vertices), rows that sum to 1."""

"""Samples of a Gaussian that was fitted to the end of a training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.errors import UserError
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed
from bench.uncertainty.base import Labelled, methods
from bench.uncertainty.side_by_side import SideBySide, need_training, own_rate

if TYPE_CHECKING:
    from torch import nn


@methods.register("swag")
@parameters
class Swag(SideBySide):
    """Samples of a Gaussian over the weights (Maddox et al. 2019, arXiv 1902.02476).

    After the recipe the network trains on at a constant rate; its weights are kept after every epoch. The Gaussian has
    their mean and the covariance ``scale (diag(variances) + DᵀD / (rank − 1))``, D the deviations of the last ``rank``
    from the mean. Statistics of BatchNorm are estimated again for every sampled network.
    """

    epochs: Annotated[int, Field(ge=2, description="more epochs after the recipe's, weights kept after each")] = 10
    learning_rate: Annotated[
        float | None, Field(gt=0, description="constant, of these epochs; a fifth of the recipe's by default")
    ] = None
    rank: Annotated[int, Field(ge=2, description="how many of the last weights make the low-rank part")] = 10
    scale: Annotated[float, Field(ge=0, description="of the covariance; 0: the mean of the weights alone")] = 0.5
    batch_norm_samples: Annotated[int, Field(ge=2, description="training samples for BatchNorm statistics")] = 512

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse a recipe without training, and a rank above the epochs."""
        need_training(recipe)
        if self.rank > self.epochs:
            what = f"rank {self.rank}, and {self.epochs} epochs in which weights are kept"
            raise UserError.at("reference.method", what, "give as many epochs as the rank, or more")
        super().check(model, declared, recipe)

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train by the recipe, train on, fit, sample."""
        from bench.functional.members.weight_gaussian import weight_gaussian
        from bench.models.training import Additions, initialise, train
        from bench.networks.members import Stacked
        from bench.uncertainty.weight_vectors import some_samples, weight_vector, with_own_statistics, with_weights

        start = train(initialise(model, declared, seed), samples, declared, recipe, seed, progress)
        rate, key = own_rate(self.learning_rate, recipe.learning_rate / 5)
        collected: list[NDArray[np.float64]] = []
        additions = Additions(
            schedule="constant",
            each_epoch=lambda network: collected.append(weight_vector(network)),
            key=key,
        )
        further = replace(recipe, epochs=self.epochs, learning_rate=rate)
        own = derive_seed("swag", seed)
        progress("swag: epochs at a constant rate")
        end = train(start, samples, declared, further, own, progress, additions)
        gaussian = weight_gaussian(np.stack(collected), self.rank)
        images = some_samples(samples, self.batch_norm_samples, own)
        points = gaussian.samples(self.members, self.scale, own)
        return Stacked([with_own_statistics(with_weights(end, point), images, declared) for point in points]).eval()

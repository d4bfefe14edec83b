"""A simplex of networks that grows from a trained one, vertex by vertex."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.errors import UserError
from bench.functional.members.simplexes import barycentric
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed, generator
from bench.uncertainty.base import Labelled, methods
from bench.uncertainty.points import PointsInSpace, Shape
from bench.uncertainty.side_by_side import own_rate

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.uncertainty.weight_space import WeightSpace


@methods.register("espro")
@parameters
class Espro(PointsInSpace):
    """Points of a simplex around one trained network, as large as the loss allows (Benton et al., arXiv 2102.13042).

    Each further vertex starts at the mean of those before it plus Gaussian noise (at the mean itself the volume is 0
    and has no gradient) and trains alone: ``(1/H) Σ_h CE(φ_h) − λ log V`` with φ_h uniform in the simplex and V its
    volume, ``λ = volume / max(1, |log V₀|)`` and V₀ the volume at the start. The published rule divides by log V₀ as it
    is, so that below volume 1 nothing is left of the weight. The optimiser is the recipe's. The first member is the
    mean of the vertices, the others are drawn uniformly; BatchNorm's statistics are estimated again at each.
    """

    vertices: Annotated[int, Field(ge=2, description="with the trained network")] = 4
    epochs: Annotated[int, Field(ge=1, description="of each further vertex")] = 10
    learning_rate: Annotated[
        float | None,
        Field(gt=0, description="of the further vertices, falling to 0; a fifth of the recipe's by default"),
    ] = None
    volume: Annotated[float, Field(ge=0, description="weight of the log volume; 0: none")] = 1e-3
    draws: Annotated[int, Field(ge=1, description="points of the simplex that a batch meets: H")] = 5
    noise: Annotated[
        float, Field(gt=0, description="of a new vertex, as a share of the root mean square of each tensor")
    ] = 0.05

    @property
    def form(self) -> Shape:
        """What the vertices span."""
        return "simplex"

    def space(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> WeightSpace:
        """The vertices, the trained network first; its ``at`` gives the network at any point."""
        from bench.models.training import Additions, initialise, train
        from bench.uncertainty.weight_space import WeightSpace, in_simplex

        rate, key = own_rate(self.learning_rate, recipe.learning_rate / 5)
        further = replace(recipe, epochs=self.epochs, learning_rate=rate)
        mode = train(initialise(model, declared, seed), samples, declared, recipe, seed, progress)
        space = WeightSpace([mode], partial(in_simplex, 1, self.draws))
        for number in range(1, self.vertices):
            progress(f"vertex {number + 1}/{self.vertices}")
            own = derive_seed("espro", seed, number)
            grown = [*(copy.deepcopy(vertex) for vertex in space.vertices), self.beside(space, own)]
            wider = WeightSpace(grown, partial(in_simplex, number + 1, self.draws), frozen=range(number))
            additions = Additions(schedule="cosine", penalty=self.penalty(wider), key=key)
            found = train(wider, samples, declared, further, own, progress, additions)
            assert isinstance(found, WeightSpace)
            space = found
        return space

    def penalty(self, start: WeightSpace) -> Callable[[nn.Module], torch.Tensor] | None:
        """Minus the log volume, by its weight at the start; none where the weight is 0."""
        import torch

        from bench.uncertainty.weight_space import WeightSpace, log_volume

        if not self.volume:
            return None
        weight = self.volume / max(1.0, abs(float(log_volume(start).detach())))

        def penalty(trained: nn.Module) -> torch.Tensor:
            assert isinstance(trained, WeightSpace)
            try:
                return -weight * log_volume(trained)
            except FloatingPointError as error:
                if not all(bool(part.isfinite().all()) for part in trained.parameters()):
                    return torch.tensor(torch.nan)  # the training names the epoch
                what, right = f"while it trained, {error}", "give less learning_rate, or more noise"
                raise UserError.at("reference.method", what, right) from error

        return penalty

    def beside(self, space: WeightSpace, seed: int) -> nn.Module:
        """Where a new vertex starts: beside the mean of those there are."""
        import torch

        made = space.at(np.full(len(space.vertices), 1 / len(space.vertices)))
        random = generator("espro-noise", seed)
        with torch.no_grad():
            for part in made.parameters():
                spread = self.noise * float(part.double().square().mean().sqrt())
                part.add_(torch.from_numpy(spread * random.standard_normal(tuple(part.shape))).to(part.dtype))
        return made

    def points(self, seed: int) -> NDArray[np.float64]:
        """Where the members are: (members, vertices), rows that sum to 1."""
        centre = np.full((1, self.vertices), 1 / self.vertices)
        return np.concatenate([centre, barycentric(self.members - 1, self.vertices, "espro", seed)])

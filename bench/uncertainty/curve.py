"""A curve of low loss between two networks that were trained apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.functional.members.curves import bezier_weights, parameters_along
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed
from bench.uncertainty.base import Labelled, methods
from bench.uncertainty.points import PointsInSpace, Shape

if TYPE_CHECKING:
    from bench.uncertainty.weight_space import WeightSpace


@methods.register("curve")
@parameters
class Curve(PointsInSpace):
    """Points of a quadratic Bezier curve between two trained modes (Garipov et al. 2018, arXiv 1802.10026).

    Both ends are trained by the whole recipe and stay as they are; the bend starts in their middle and trains alone, on
    a point of the curve a batch, its parameter uniform. Members lie at equal steps of the parameter, the first and the
    last at the ends. BatchNorm's statistics are estimated again at each, the ends among them.
    """

    epochs: Annotated[int | None, Field(ge=1, description="of the bend; the recipe's by default")] = None

    @property
    def form(self) -> Shape:
        """What the vertices span."""
        return "curve"

    def space(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> WeightSpace:
        """First end, bend and second end; its ``at`` gives the network at any point."""
        from bench.models.training import initialise, train
        from bench.uncertainty.weight_space import WeightSpace, on_curve, on_line

        ends = []
        for number in range(2):
            progress(f"end {number + 1}/2")
            own = derive_seed("curve", seed, number)
            ends.append(train(initialise(model, declared, own), samples, declared, recipe, own, progress))
        middle = WeightSpace(ends, on_line).at(np.array([0.5, 0.5]))
        space = WeightSpace([ends[0], middle, ends[1]], on_curve, frozen=(0, 2))
        progress("bend")
        bend = replace(recipe, epochs=self.epochs or recipe.epochs)
        found = train(space, samples, declared, bend, derive_seed("curve", seed, "bend"), progress)
        assert isinstance(found, WeightSpace)
        return found

    def points(self, seed: int) -> NDArray[np.float64]:
        """Where the members are: weights of first end, bend and second end (members, 3); the same for every seed."""
        return bezier_weights(parameters_along(self.members))

"""A line, curve or simplex of networks, trained as a whole."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.errors import UserError
from bench.functional.members.curves import bezier_weights, line_weights, parameters_along
from bench.functional.members.simplexes import barycentric
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed
from bench.uncertainty.base import Labelled, methods
from bench.uncertainty.points import PointsInSpace, Shape

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.uncertainty.weight_space import WeightSpace

FIXED = {"line": 2, "curve": 3}


@methods.register("subspace")
@parameters
class Subspace(PointsInSpace):
    """Points of a part of weight space that one training makes good everywhere (Wortsman et al., arXiv 2102.10472).

    Vertices are initialised apart. A batch meets one point, drawn uniformly: ``(1−a) v₁ + a v₂`` on a line, ``(1−a)² v₁
    + 2a(1−a) v₂ + a² v₃`` on a curve, weights of Dirichlet(1) in a simplex. The loss is the cross entropy there plus
    ``beta`` times the mean over pairs of vertices of the squared cosine between their weights of convolutions and
    linear layers. Members lie evenly between the ends of a line or curve; in a simplex the first is the mean of the
    vertices, the others are drawn. BatchNorm's statistics are estimated again at each.
    """

    shape: Annotated[Shape, Field(description="straight, quadratic Bezier curve, or all mixtures")] = "line"
    vertices: Annotated[int | None, Field(ge=2, description="of a simplex, 3 by default; a line has 2, a curve 3")] = (
        None
    )
    beta: Annotated[float, Field(ge=0, description="weight of the squared cosine")] = 1.0
    ends: Annotated[bool, Field(description="the ends, or all vertices of a simplex, are members too")] = False

    @property
    def count(self) -> int:
        """How many vertices there are."""
        return self.vertices or FIXED.get(self.shape, 3)

    @property
    def form(self) -> Shape:
        """What the vertices span."""
        return self.shape

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse vertices that the shape does not have, too few members for the ends, and losses that read layers."""
        if self.count != FIXED.get(self.shape, self.count):
            what = f"{self.vertices} vertices of a {self.shape}, which has {FIXED[self.shape]}"
            raise UserError.at("reference.method", what, 'leave them out, or give shape = "simplex"')
        if self.ends and self.shape == "simplex" and self.members < self.count:
            what = f"{self.members} members for {self.count} vertices that are to be members"
            raise UserError.at("reference.method", what, "give as many members, or ends = false")
        super().check(model, declared, recipe)

    def space(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> WeightSpace:
        """The trained vertices; its ``at`` gives the network at any point."""
        from bench.models.training import Additions, initialise, train
        from bench.uncertainty.weight_space import Draw, WeightSpace, in_simplex, mean_squared_cosine, on_curve, on_line

        draws: dict[str, Draw] = {"line": on_line, "curve": on_curve, "simplex": partial(in_simplex, self.count)}
        starts = [initialise(model, declared, derive_seed("subspace", seed, j)) for j in range(self.count)]
        space = WeightSpace(starts, draws[self.shape])

        def penalty(trained: nn.Module) -> torch.Tensor:
            assert isinstance(trained, WeightSpace)
            return self.beta * mean_squared_cosine(trained)

        found = train(space, samples, declared, recipe, seed, progress, Additions(penalty=penalty))
        assert isinstance(found, WeightSpace)
        return found

    def points(self, seed: int) -> NDArray[np.float64]:
        """Where the members are: (members, vertices), rows that sum to 1."""
        if self.shape == "simplex":
            centre = np.full((1, self.count), 1 / self.count)
            fixed = np.concatenate([np.eye(self.count), centre]) if self.ends else centre
            drawn = barycentric(self.members, self.count, "subspace", seed)
            return np.concatenate([fixed, drawn])[: self.members]
        a = parameters_along(self.members) if self.ends else parameters_along(self.members + 2)[1:-1]
        return line_weights(a) if self.shape == "line" else bezier_weights(a)

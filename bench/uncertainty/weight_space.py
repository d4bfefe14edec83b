"""A part of weight space that is spanned by vertices, each the weights of one architecture."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call

from bench.functional.members.curves import bezier_weights, combined, line_weights
from bench.functional.members.simplex_training import differentiable_log_volume
from bench.networks.members import Stacked
from bench.networks.network import InputSpec
from bench.uncertainty.weight_vectors import Unlabelled, weight_vector, with_own_statistics, with_weights

Float = NDArray[np.float64]
Draw: TypeAlias = Callable[[], Float]  # points to pass through, as rows of weights


class WeightSpace(nn.Module):
    """Points ``Σ_j w_j v_j`` of vertices v_j, networks of one architecture; scale and shift of BatchNorm among them.

    In training mode every pass draws one point or several, as ``draw`` says, a row of weights each, from torch's
    current generator, and answers as the network there, or as (n, points, classes). Of ``frozen`` vertices no gradient
    is taken.
    """

    def __init__(self, vertices: Iterable[nn.Module], draw: Draw, frozen: Collection[int] = ()) -> None:
        super().__init__()
        self.vertices = nn.ModuleList(copy.deepcopy(vertex) for vertex in vertices)
        self.draw, self.frozen = draw, frozenset(frozen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The scores at points that are drawn; in evaluation mode those at the mean of the vertices."""
        count = len(self.vertices)
        rows = self.draw() if self.training else np.full((1, count), 1 / count)
        tables = self.weights()
        answers = [functional_call(self.vertices[0], _sum(row.tolist(), tables), (x,)) for row in rows]
        return answers[0] if len(answers) == 1 else torch.stack(answers, dim=1)

    def weights(self) -> list[dict[str, torch.Tensor]]:
        """The weights of each vertex by name, without gradient where it is frozen."""
        return [
            {name: part.detach() if number in self.frozen else part for name, part in vertex.named_parameters()}
            for number, vertex in enumerate(self.vertices)
        ]

    def at(self, weights: NDArray[Any]) -> nn.Module:
        """The network at a point, in eval mode; at a vertex its very weights. BatchNorm statistics do not fit it yet.

        Sums are taken in float64.
        """
        table = np.stack([weight_vector(vertex) for vertex in self.vertices])
        return with_weights(self.vertices[0], combined(np.asarray(weights)[None], table)[0]).eval()


def _sum(row: list[float], tables: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {
        name: torch.stack([share * table[name] for share, table in zip(row, tables, strict=True)]).sum(dim=0)
        for name in tables[0]
    }


def members_at(space: WeightSpace, points: Float, images: Unlabelled, declared: InputSpec) -> Stacked:
    """The networks at points (members, vertices), each with the BatchNorm statistics that it has on the images."""
    made = [with_own_statistics(space.at(point), images, declared) for point in points]
    return Stacked(made).eval()


def recovered(members: Stacked, points: Float) -> WeightSpace:
    """The space of which these members are the points (members, vertices): it need not be trained again.

    Vertices that are members are these, the others exact but for rounding; only where no step has changed the members.
    Call ``at`` of what comes back.

    Raises:
        ValueError: the points do not determine the vertices: too few, or on one line.
    """
    if np.linalg.matrix_rank(points) < points.shape[1]:
        raise ValueError(f"{len(points)} points do not determine {points.shape[1]} vertices")
    there = np.stack([weight_vector(member) for member in members.members])
    table = np.linalg.pinv(points) @ there
    for point, row in zip(points, there, strict=True):
        if point.max() == 1.0:
            table[point.argmax()] = row
    return WeightSpace([with_weights(members.members[0], row) for row in table], lambda: points)


def on_line() -> Float:
    """A point drawn uniformly on a line."""
    return line_weights(torch.rand(1, dtype=torch.float64).numpy())


def on_curve() -> Float:
    """A point of a quadratic Bezier curve, its parameter drawn uniformly."""
    return bezier_weights(torch.rand(1, dtype=torch.float64).numpy())


def in_simplex(vertices: int, count: int = 1) -> Float:
    """Points (count, vertices) drawn uniformly in a simplex."""
    drawn = torch.empty(count, vertices, dtype=torch.float64).exponential_()
    return np.asarray((drawn / drawn.sum(dim=1, keepdim=True)).numpy())


def mean_squared_cosine(space: WeightSpace) -> torch.Tensor:
    """Mean over pairs of vertices of the squared cosine between their weights of convolutions and linear layers."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    names = [f"{name}.weight" for name, layer in space.vertices[0].named_modules() if isinstance(layer, kinds)]
    flat = [torch.cat([table[name.removeprefix(".")].flatten() for name in names]) for table in space.weights()]
    cosines = [torch.cosine_similarity(a, b, dim=0) for a, b in combinations(flat, 2)]
    return torch.stack(cosines).square().mean()


def log_volume(space: WeightSpace) -> torch.Tensor:
    """Log volume of the simplex of all vertices, with the gradient of those that are not frozen."""
    return differentiable_log_volume(
        torch.stack([torch.cat([part.flatten() for part in table.values()]) for table in space.weights()])
    )

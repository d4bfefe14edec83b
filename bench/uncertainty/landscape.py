"""The weight space around the members of a network, and the loss of the networks in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.errors import NotApplicable
from bench.functional.batches import fixed_batches
from bench.models.training import reproducible
from bench.networks.interface import class_scores, to_logits, to_network
from bench.networks.members import Stacked
from bench.networks.network import InputSpec
from bench.uncertainty.base import Labelled, Method
from bench.uncertainty.points import PointsInSpace
from bench.uncertainty.weight_space import Float, WeightSpace, recovered
from bench.uncertainty.weight_vectors import Unlabelled, weight_vector, with_own_statistics

Form: TypeAlias = Literal["line", "curve", "simplex", "modes"]
BATCH = 256  # of the networks that are looked at
LARGEST_ERROR = 1e-4  # of recovered weights, relative to the largest: beyond, points determine their vertices too badly


@dataclass(frozen=True)
class Region:
    """Modes by name, and what they span: a line, a curve, a simplex, or nothing beyond themselves."""

    form: Form
    names: tuple[str, ...]
    space: WeightSpace


@dataclass(frozen=True)
class Seen:
    """Of networks at places: each sample's negative log likelihood in nats (places, n), and whether it is right."""

    losses: Float
    correct: NDArray[np.bool_]


def region_of(
    module: nn.Module | None, method: Method | None, seed: int, record: Mapping[str, Any], *, kept: bool = False
) -> Region:
    """The modes of a network of several members: the vertices that its method trained, else its members.

    Vertices are not kept: they are recovered from the members, whose places in the space a seed gives.

    Args:
        module: as it was trained; None of a network that is none.
        method: that made it.
        seed: of its training.
        record: of the network; one that a step has changed is refused.
        kept: whether the weights come from a file, which does not say that they are of this seed.

    Raises:
        NotApplicable: it has no weight space that can be told from it, with the reason.
    """
    if "of" in record:
        what = "what a step made holds the trained weights no more"
        raise NotApplicable(f"{what}: {record.get('step', 'a step')} was applied; ask for the reference")
    if method is None:
        raise NotApplicable("one network has no second mode: give reference.method, such as deep-ensemble or curve")
    if not isinstance(module, Stacked):
        raise NotApplicable(f"members of {method.name} share weights: no line leads from one to another")
    _need_one_architecture(module, method.name)
    if not isinstance(method, PointsInSpace):
        names = tuple(f"member {number + 1}" for number in range(len(module.members)))
        return Region("modes", names, WeightSpace(module.members, lambda: np.eye(len(names))))
    points = method.points(seed)
    places = "ends" if method.form == "line" else "vertices"
    space = _recovered(module, points, method, places)
    if not np.array_equal(points, method.points(seed + 1)):  # then the seed matters, which may be another one's
        if kept and len(points) == points.shape[1]:
            raise NotApplicable(f"{len(points)} kept members do not tell whose seed placed them: give one member more")
        _need_residual(module, space, points, seed)
    names = tuple(f"vertex {number + 1}" for number in range(points.shape[1]))
    if method.form == "curve":
        names = ("first end", "bend", "second end")
    if method.form == "line":
        names = ("first end", "second end")
    return Region(method.form, names, space)


def _need_one_architecture(module: Stacked, name: str) -> None:
    """Raise ``NotApplicable`` for members whose weights or fixed parts cannot stand for one another's."""
    first = module.members[0]
    shapes = [(key, part.shape) for key, part in first.named_parameters()]
    fixed = _fixed(first)
    for number, member in enumerate(module.members[1:], start=2):
        if [(key, part.shape) for key, part in member.named_parameters()] != shapes:
            raise NotApplicable(f"members of {name} have weights of other shapes: 1 and {number}")
        other = _fixed(member)
        if other.keys() != fixed.keys() or any(not torch.equal(fixed[key], other[key]) for key in fixed):
            raise NotApplicable(f"members of {name} differ in more than weights, such as masks: 1 and {number}")


def _fixed(module: nn.Module) -> dict[str, torch.Tensor]:
    """Buffers that are no statistics of BatchNorm."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return {key: part for key, part in module.named_buffers() if key.rpartition(".")[2] not in statistics}


def _recovered(module: Stacked, points: Float, method: PointsInSpace, places: str) -> WeightSpace:
    need = points.shape[1]
    if len(points) < need or np.linalg.matrix_rank(points) < need:
        what = f"{len(points)} members do not determine the {need} {places} that were trained"
        raise NotApplicable(f"{what}: give members = {max(need, len(points) + 1)} or more")
    exact = {int(point.argmax()) for point in points if point.max() == 1.0}
    inverse = np.delete(np.linalg.pinv(points), sorted(exact), axis=0)
    grown = float(np.abs(inverse).sum(axis=1).max()) * 2.0**-24 if len(inverse) else 0.0
    if grown > LARGEST_ERROR:
        what = f"members of {method.name} lie too near a plane to tell its {places} (relative error up to {grown:.0e})"
        raise NotApplicable(f"{what}: give more members")
    return recovered(module, points)


def _need_residual(module: Stacked, space: WeightSpace, points: Float, seed: int) -> None:
    """Raise ``NotApplicable`` where members are not at the points of this seed, or it cannot be told."""
    table = np.stack([weight_vector(vertex) for vertex in space.vertices])
    there = np.stack([weight_vector(member) for member in module.members])
    if np.abs(points @ table - there).max() > LARGEST_ERROR * np.abs(there).max():
        what = f"the members do not lie where the seed {seed} puts them"
        raise NotApplicable(f"{what}: kept weights of another seed, or of an older version")


def looked_at(
    space: WeightSpace, weights: Float, images: Unlabelled, samples: Labelled, declared: InputSpec, batch: int = BATCH
) -> Seen:
    """Loss and verdict of the network at each place, with the BatchNorm statistics that its weights have.

    Args:
        space: whose vertices are summed.
        weights: (places, vertices), rows that sum to 1.
        images: training images for the statistics of BatchNorm.
        samples: labelled, (n, ...) in the user's bounds.
        declared: of one member.
        batch: samples a pass; it changes nothing but the last bits.

    Raises:
        NotApplicable: there are no labels.
    """
    if samples.y is None:
        raise NotApplicable("needs labels; the data has none")
    labels = torch.from_numpy(samples.y)
    losses, right = [], []
    with reproducible("landscape"), torch.no_grad():
        x = to_network(torch.from_numpy(samples.x), declared)
        for row in weights:
            network = with_own_statistics(space.at(row), images, declared)
            parts = []
            for rows in fixed_batches(len(x), batch):
                parts.append(network(x[torch.from_numpy(rows.rows)])[: rows.wanted])
            logits = to_logits(class_scores(torch.cat(parts)), declared)
            chances = logits.double().log_softmax(dim=1)
            losses.append(-chances[torch.arange(len(x)), labels].numpy())
            right.append((chances.argmax(dim=1) == labels).numpy())
    return Seen(np.stack(losses), np.stack(right))

"""Attacks that see the class alone, on foolbox: boundary and HopSkipJump; imported only where an attack runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from eagerpy.astensor import astensor
from numpy.typing import NDArray

with warnings.catch_warnings():  # foolbox imports scipy by a name that scipy gives up
    warnings.simplefilter("ignore", DeprecationWarning)
    from foolbox import attacks as library

from bench.functional.attacks.decision_starts import nearby_start
from bench.functional.attacks.keyed_draws import OneSamplesDraws
from bench.functional.attacks.lockstep import Ask, in_lockstep
from bench.functional.attacks.one_sample import IsWrong, OneSample, SearchDone

Float = NDArray[np.float64]
Images = NDArray[np.float32]
Norm: TypeAlias = Literal["linf", "l2"]
Method: TypeAlias = Literal["boundary", "hopskipjump"]
NORMS: Final[dict[Method, tuple[Norm, ...]]] = {"boundary": ("l2",), "hopskipjump": ("linf", "l2")}


class Decided(NamedTuple):
    """The nearest input of another class that was asked, of each sample."""

    nearest: Images  # (n, ...); the sample itself where none was found
    distance: Float  # (n,), in the norm; infinite where none was found
    queries: NDArray[np.int64]  # (n,), different inputs that were asked


def decision_attack(
    scores: Callable[[Images], Float],
    x: Images,
    labels: NDArray[np.int64],
    generators: Sequence[np.random.Generator],
    method: Method,
    *,
    norm: Norm,
    queries: int,
    epsilon: float | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    starts: Images | None = None,
    **options: Any,
) -> Decided:
    """Walk along the border of the class to the nearest input beyond it, with nothing but classes to go by.

    The boundary attack (Brendel et al., arXiv 1712.04248) in l2 and HopSkipJump (Chen et al., arXiv 1904.02144) in l2
    and l_inf, in coordinates from 0 to 1. Each sample is attacked alone, from an input of another class: the given one,
    or random ones (noise on grids from single pixels to one colour), drawn near by halving. Every input that the
    network was asked counts, and the nearest wrong one among them is returned. A sample's result depends on its
    generator and the network's classes alone; global generators are neither read nor moved.

    Args:
        scores: inputs (m, ...) to log-probabilities or logits (m, classes), each row on its own.
        x: samples (n, ...) within the bounds.
        labels: int64 (n,), the classes that the network gives.
        generators: one a sample.
        method: which attack.
        norm: in which near is meant.
        queries: inputs that may be asked of a sample, at least 1.
        epsilon: a sample is done once the nearest is as near as this; None: all queries are used.
        bounds: lowest and highest input, both finite.
        starts: inputs (n, ...) of other classes to begin with.
        options: of the attack, as foolbox names them.

    Raises:
        ValueError: the attack knows no such norm, queries are below 1, or generators do not match the samples.

    >>> def scores(x): return np.stack([0 * x[:, 0], x @ np.array([3.0, 4.0])], axis=1)
    >>> x, labels, own = np.full((1, 2), 0.5, dtype=np.float32), np.array([1]), [np.random.default_rng(0)]
    >>> found = decision_attack(scores, x, labels, own, "hopskipjump", norm="l2", queries=2000, bounds=(-1, 1))
    >>> found.distance.round(1).tolist()  # 3.5 / 5
    [0.7]
    """
    if norm not in NORMS[method]:
        raise ValueError(f"{method} knows no changes in {norm}: {' or '.join(NORMS[method])}")
    if not len(x) == len(generators) == len(labels) or queries < 1:
        what = f"{len(x)} samples, {len(labels)} labels, {len(generators)} generators, {queries} queries"
        raise ValueError(f"{what}: give one generator and label each, and at least one query")
    if method == "boundary":
        attack = library.BoundaryAttack(**{"steps": queries, **options})
    else:
        attack = _HopSkipJump(**{"steps": queries, "constraint": norm, **options})
    searches = [
        partial(
            _search, attack=attack, x=x[row], label=labels[row], own=generators[row], norm=norm, queries=queries,
            enough=0.0 if epsilon is None else epsilon, bounds=bounds, start=None if starts is None else starts[row],
        )
        for row in range(len(x))
    ]  # fmt: skip
    found = in_lockstep(searches, lambda points: scores(points).argmax(axis=1))
    return Decided(
        np.stack([each.nearest for each in found]) if found else x,
        np.array([each.distance for each in found]),
        np.array([each.asked for each in found], dtype=np.int64),
    )


def _search(
    ask: Ask, *, attack: Any, x: Images, label: int, own: np.random.Generator, norm: Norm, queries: int,
    enough: float, bounds: tuple[float, float], start: Images | None,
) -> OneSample:  # fmt: skip
    sample = OneSample(ask, x, label, norm, queries, enough, bounds)
    try:
        unit = sample.to_unit(x)
        if not sample.wrong(unit):
            begin = nearby_start(sample.wrong, unit, own, norm, None if start is None else sample.to_unit(start))
            if begin is not None:
                given = torch.from_numpy(begin)[None]
                with OneSamplesDraws(own), torch.no_grad():
                    attack.run(sample, torch.from_numpy(unit)[None], IsWrong(), starting_points=given)
    except SearchDone:
        pass
    return sample


class _HopSkipJump(library.HopSkipJumpAttack):  # type: ignore[misc,unused-ignore]
    """The library's attack, but that the inputs of one estimate are asked together."""

    def approximate_gradients(self, is_adversarial: Callable[[Any], Any], x_advs: Any, steps: int, delta: Any) -> Any:
        """The direction into the other class at the border, ``Σ_b (φ_b − mean φ) u_b`` of length 1 (arXiv 1904.02144).

        φ is 1 where ``x + δ u_b`` is of another class and −1 elsewhere; where all are equal no mean is taken off.
        """
        at, distance = x_advs.raw, delta.raw
        shape = (steps, *at.shape[1:])
        drawn = (
            torch.randn(shape, dtype=at.dtype) if self.constraint == "l2" else 2 * torch.rand(shape, dtype=at.dtype) - 1
        )
        wide = (-1, *[1] * (at.ndim - 1))
        points = (at + distance * drawn / drawn.flatten(1).norm(dim=1).view(wide)).clamp(0, 1)
        side = torch.where(is_adversarial(astensor(points)).raw, 1.0, -1.0).to(at.dtype)
        if side.mean().abs() < 1:
            side = side - side.mean()
        direction = (side.view(wide) * (points - at)).mean(dim=0, keepdim=True)
        return astensor(direction / direction.norm().clamp(min=1e-300))

"""Sums over places on paths to samples, in batches of one size that hold places of any samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.functional.input_gradients import centred_logit
from bench.functional.integrated_gradients import path_contributions
from bench.probes.gradient_view import View

if TYPE_CHECKING:
    import torch

Float = NDArray[np.float64]

BATCHES: Final = 8  # of places that are in memory together


class Places(NamedTuple):
    """Places on the paths of some samples, a sample's places one after another: (places,) each."""

    owner: NDArray[np.int64]  # the sample
    start: NDArray[np.int64]  # the baseline
    alpha: Float  # from 0, the baseline, to 1
    weight: Float


def sums_over_places(
    view: View, x: NDArray[np.float32], classes: NDArray[np.int64], baselines: NDArray[np.float32], places: Places
) -> Float:
    """``Σ_k w_k (x − x'_k) ∂f(x'_k + a_k (x − x'_k)) / ∂x`` of each sample: (n, ...).

    Every sample has a place. Its sum is in the order of its places, whatever samples are beside it.
    """

    def contribute(
        x: torch.Tensor, baseline: torch.Tensor, alpha: torch.Tensor, target: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        return (path_contributions(view.module, x, baseline, alpha, target),)

    total = np.empty(x.shape)
    for rows in _whole_samples(places.owner, BATCHES * view.size):
        owner = places.owner[rows]
        (made,) = view.each_batch(
            contribute, x[owner], baselines[places.start[rows]], places.alpha[rows], classes[owner]
        )
        made *= places.weight[rows].reshape(-1, *[1] * (x.ndim - 1))
        first = np.flatnonzero(np.r_[True, np.diff(owner) > 0])
        total[owner[first]] = np.add.reduceat(made, first, axis=0)
    return total


def _whole_samples(owner: NDArray[np.int64], most: int) -> Iterator[slice]:
    """Slices of places that hold whole samples, some ``most`` places each."""
    ends = np.flatnonzero(np.r_[np.diff(owner) > 0, True]) + 1
    start = 0
    while start < len(owner):
        fitting = ends[(ends > start) & (ends <= start + most)]
        stop = int(fitting[-1] if len(fitting) else ends[ends > start][0])
        yield slice(start, stop)
        start = stop


def logits_of(view: View, x: NDArray[np.float32], classes: NDArray[np.int64]) -> Float:
    """The centred logit of each sample's class, (n,)."""
    import torch

    def score(x: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return (centred_logit(view.module(x), target),)

    (found,) = view.each_batch(score, x, classes)
    return np.asarray(found, dtype=np.float64)

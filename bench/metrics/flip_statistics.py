"""Figures of flips, of samples to which a network gives another class than the reference: what tells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bench.functional.flips_under_shift import (
    ClusteredAuroc,
    clustered_auroc,
    clustered_auroc_difference,
    flip_auroc,
    flip_auroc_difference,
    moved_area,
)
from bench.metrics.values import Array, Arrays, Float, Statistic, names, of_reference
from bench.stats.resampling import Resamples, Weights, resampled_means

S = TypeVar("S", bound="FlipStatistic")

NEEDED = 10  # samples that flip, for an interval
NO_FLIPS = "no version of a sample flips under corruption, or every one does"


def too_few_flips(flips: Array) -> str:
    """Why samples that flip are too few for an interval, of flips (n,) or (n, versions); empty where there are enough.

    >>> too_few_flips(np.array([0.0, 0.5]))
    'underpowered: 1 of 2 samples flip, 10 are needed'
    """
    count = int(np.count_nonzero(flips.reshape(len(flips), -1).any(axis=1)))
    return "" if count >= NEEDED else f"underpowered: {count} of {len(flips)} samples flip, {NEEDED} are needed"


@dataclass(frozen=True)
class FlipStatistic(Statistic):
    """A figure of a network's flips, its last array: an interval needs ten samples that flip."""

    def without_interval(self, *networks: Arrays) -> str:
        """Why there is no interval: too few samples flip in one network."""
        return next(filter(None, (too_few_flips(arrays[names(self.of)[-1]]) for arrays in networks)), "")


@dataclass(frozen=True)
class VersionStatistic(FlipStatistic):
    """A figure of all versions of each sample: ``function(*of) -> ClusteredAuroc``, flips (n, versions) the last array.

    Draws are the figure moved by its resampled mean influence, an area along its log-odds: to first order, so that a
    resample costs a product and not a sort of all versions.
    """

    def found(self, arrays: Arrays) -> ClusteredAuroc:
        """The figure, and the influence of each sample."""
        return ClusteredAuroc(*self.function(*(arrays[name] for name in names(self.of))))

    def point(self, arrays: Arrays) -> float:
        """The figure of the samples themselves."""
        return self.found(arrays).area

    def figure(self, arrays: Arrays, weights: Weights) -> Float:
        """The figure under each row of weights (B, n), to first order: (B,)."""
        area, influence = self.found(arrays)
        return self._moved(area, resampled_means(influence, weights))

    def draws(self, arrays: Arrays, resamples: Resamples) -> Float:
        """The figure in each resample, to first order: (B,)."""
        area, influence = self.found(arrays)
        return self._moved(area, resamples.means(influence))

    def _moved(self, figure: float, moves: Float) -> Float:
        return moved_area(figure, moves) if self.least == 0.0 else figure + moves  # a difference may be below 0

    def asked_ahead(
        self, new: Sequence[Arrays], both: tuple[Arrays, Arrays], draws: int
    ) -> tuple[list[Array], list[tuple[Any, ...]]]:
        """The influences."""
        return [self.found(arrays).influence for arrays in new], []


def version_areas(first: str, *others: str) -> tuple[VersionStatistic, ...]:
    """Of the reference's scores (n, versions): how well each tells ``version_flips``, and the first beyond the others.

    >>> [value.name for value in version_areas("margin", "mcp")]
    ['margin_auroc', 'mcp_auroc', 'margin_auroc_beyond_mcp']
    """
    return _areas(VersionStatistic, (clustered_auroc, clustered_auroc_difference), "version_flips", first, *others)


def clean_areas(first: str, *others: str) -> tuple[FlipStatistic, ...]:
    """Of the reference's scores on clean images, ``clean_...`` (n,): how well each tells ``shifted_flips`` (n,).

    >>> [value.name for value in clean_areas("margin", "mcp")]
    ['clean_margin_auroc', 'clean_mcp_auroc', 'clean_margin_auroc_beyond_mcp']
    """
    own = [f"clean_{score}" for score in (first, *others)]
    return _areas(FlipStatistic, (flip_auroc, flip_auroc_difference), "shifted_flips", *own)


def _areas(made: type[S], functions: tuple[Any, Any], flips: str, first: str, *others: str) -> tuple[S, ...]:
    area, difference = functions
    alone = (
        made(
            f"{score}_auroc", area, of=(of_reference(score), flips), better="none", largest=1.0, least=0.0, most=1.0,
            undefined=NO_FLIPS,
        )
        for score in (first, *others)
    )  # fmt: skip
    beside = (
        made(
            f"{first}_auroc_beyond_{score.removeprefix('clean_')}", difference, better="none", largest=2.0, least=-1.0,
            most=1.0, of=(of_reference(first), of_reference(score), flips), undefined=NO_FLIPS,
        )
        for score in others
    )  # fmt: skip
    return *alone, *beside

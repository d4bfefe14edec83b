"""Figures of a network's errors, which say little where it makes few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.functional.predictions import errors_of, too_few_errors
from bench.metrics.values import Array, Arrays, Float, Statistic, names
from bench.stats.resampling import Resamples


@dataclass(frozen=True)
class ErrorStatistic(Statistic):
    """A statistic of confidences and of right answers (0 or 1, the second array): underpowered with few errors.

    Where one of the networks errs fewer than ten times, among the answers that the figure is of, there are figures and
    their difference, and the reason in place of an interval. Where ``influence(*of) -> (n,)`` is known, with mean zero,
    draws are the figure and its resampled mean: linear, so that a resample costs a product and not a sort.
    """

    influence: Callable[..., Float] | None = None
    share: float = 1.0  # below 1: of the surest samples, whose error rate the figure is

    def influences(self, arrays: Arrays) -> Float:
        """The influence of each sample on a network's figure: (n,).

        Raises:
            TypeError: No influence is known.
        """
        if self.influence is None:
            raise TypeError(f"{self.name!r} has no influence function")
        return np.asarray(self.influence(*(arrays[name] for name in names(self.of))), dtype=np.float64)

    def draws(self, arrays: Arrays, resamples: Resamples) -> Float:
        """The figure in each resample (B,), to first order where the influence is known."""
        if self.influence is None:
            return super().draws(arrays, resamples)
        return self.point(arrays) + resamples.means(self.influences(arrays))

    def asked_ahead(
        self, new: Sequence[Arrays], both: tuple[Arrays, Arrays], draws: int
    ) -> tuple[list[Array], list[tuple[Any, ...]]]:
        """The influences, where they are known; else the figure itself."""
        if self.influence is None:
            return super().asked_ahead(new, both, draws)
        return [self.influences(arrays) for arrays in new], []

    def without_interval(self, *networks: Arrays) -> str:
        """Why there is no interval: none is known, or a network's errors are too few."""
        return self.no_interval or next(filter(None, map(self._too_few, networks)), "")

    def _too_few(self, arrays: Arrays) -> str:
        """Why the errors that the figure stands on are too few; empty where there are enough."""
        right = arrays[names(self.of)[1]]
        if self.share == 1.0:
            return too_few_errors(errors_of(right), len(right))
        answered = self.share * len(right)
        return too_few_errors(round(self.point(arrays) * answered, 6), answered, among="answers")

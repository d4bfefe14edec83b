"""Figures that two sets of samples have together: how well a score tells one from the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bench.functional.detection import Influence, overlapping
from bench.metrics.values import Array, Arrays, Float, Statistic, names
from bench.stats.resampling import Resamples, Weights, resampled_means

OVERLAP = 10  # samples of each set, and samples that overlap, for an interval
EFFECTIVE = 30  # samples of each set that an interval by influence stands on; with fewer it covered down to 88 %


@dataclass(frozen=True)
class TwoSampleStatistic(Statistic):
    """A figure of evaluation samples (n,) and of others (m,), from 0 to 1: ``function(first, second)``.

    Intervals hold the sampling of both sets, and networks are paired in both. Where ``influence`` is known they are
    studentised: draws are θ − s T*, with T* the resampled mean influence over its resampled standard error. Resamples
    of the second set are taken in reverse, so that sets of one size do not go together.
    """

    no_gate: ClassVar[str] = "stands on two sets of samples, which no gate resamples"

    influence: Callable[[Float, Float], Influence] | None = None
    drawn: Callable[[Float, Float], Float] | None = None  # (B,), where no influence is known

    @property
    def paired(self) -> bool:
        """Of influences that of the difference is studentised; other draws are each network's own."""
        return self.influence is not None

    def _both(self, arrays: Arrays) -> tuple[Float, Float]:
        first, second = (np.asarray(arrays[name], dtype=np.float64) for name in names(self.of))
        return first, second

    def point(self, arrays: Arrays) -> float:
        """The figure of both sets as they are."""
        return float(self.function(*self._both(arrays)))

    def influences(self, *networks: Arrays) -> list[Influence]:
        """The influence on each network's figure and, of two networks, on their difference."""
        if self.influence is None:
            return []
        own = [self.influence(*self._both(arrays)) for arrays in networks]
        return own if len(own) == 1 else [*own, Influence(*(b - a for a, b in zip(*own, strict=True)))]

    def figure(self, arrays: Arrays, weights: Weights) -> Float:
        """The figure under weights (B, n) of evaluation samples, to first order, the others as they are."""
        if self.influence is None:
            first, second = self._both(arrays)
            return np.array([self.function(np.repeat(first, row.astype(int)), second) for row in weights])
        return self.point(arrays) + resampled_means(self.influences(arrays)[0].negatives, weights)

    def draws(self, arrays: Arrays, resamples: Resamples) -> Float:
        """The figure where both sets are resampled: (B,)."""
        if self.drawn is not None:
            return self.drawn(*self._both(arrays))
        return self.point(arrays) - studentised(self.influences(arrays)[0], resamples)

    def paired_draws(self, reference: Arrays, variant: Arrays, resamples: Resamples) -> tuple[Float, Float]:
        """Draws of two figures whose difference is drawn: (B,) each."""
        if not self.paired:
            return super().paired_draws(reference, variant, resamples)
        difference = self.influences(reference, variant)[-1]
        first = np.full(resamples.draws, self.point(reference))
        return first, self.point(variant) - studentised(difference, resamples)

    def asked_ahead(
        self, new: Sequence[Arrays], both: tuple[Arrays, Arrays], draws: int
    ) -> tuple[list[Array], list[tuple[Any, ...]]]:
        """Moments of the influences; those of the other set are asked for here, under its own resamples."""
        influences = self.influences(*both)
        others = moments([item.positives for item in influences])
        if others:  # kept by content: later asked for under the same resamples
            Resamples(others[0].shape[1], draws).ahead(others)
        return moments([item.negatives for item in influences]), []

    def without_interval(self, *networks: Arrays) -> str:
        """Why there is no interval: too few samples, or too few that are not told apart or that decide the figure."""
        both = [self._both(arrays) for arrays in networks]
        for size, what in zip(map(len, both[0]), ("evaluation samples", "samples out of distribution"), strict=True):
            if size < OVERLAP:
                return f"{size} {what}: an interval needs {OVERLAP}"
        most = max(overlapping(*pair) for pair in both)
        if most < OVERLAP:
            return f"only {most} scores overlap with the other set's: an interval needs {OVERLAP}"
        influences = self.influences(*networks)
        decide = min((effective(part) for part in influences[-1]), default=EFFECTIVE) if influences else EFFECTIVE
        if decide < EFFECTIVE and any(part.any() for part in influences[-1]):
            return f"too few samples decide (effectively {decide:.0f}): an interval needs {EFFECTIVE}"
        return self.no_interval


def effective(influence: Float) -> float:
    """``(Σ|a|)² / Σa²``: how many samples of equal influence weigh as much, from 1 to n; 0 where none has any.

    >>> effective(np.array([1.0, -1.0, 0.0])), effective(np.zeros(3))
    (2.0, 0.0)
    """
    total = float((influence**2).sum())
    return float(np.abs(influence).sum()) ** 2 / total if total > 0 else 0.0


def moments(vectors: Sequence[Float]) -> list[Float]:
    """What is resampled of influences (n,): each and its square."""
    return [np.stack([vector, vector**2]) for vector in vectors]


def studentised(influence: Influence, resamples: Resamples) -> Float:
    """S T* of the two-sample mean, (B,): its upper quantiles reach far below a figure, its lower ones far above.

    T* = (ā* + b̄*) / s*, s*² = var*(a) / n + var*(b) / m, s the same of the samples themselves (Hall 1988, doi
    10.1214/aos/1176350933). Where nothing varies it is 0.

    >>> studentised(Influence(np.zeros(12), np.zeros(15)), Resamples(12, 3)).tolist()
    [0.0, 0.0, 0.0]
    """
    squares = sum(float(part.var()) / len(part) for part in influence)
    if squares == 0:
        return np.zeros(resamples.draws)
    means, variances = np.zeros(resamples.draws), np.zeros(resamples.draws)
    for part, direction in zip(influence, (1, -1), strict=True):
        shared = Resamples(len(part), resamples.draws) if direction < 0 else resamples
        (table,) = moments([part])
        mean, square = shared.ahead([table]).means(table)[:, ::direction]
        means += mean
        variances += np.maximum(square - mean**2, 0.0) / len(part)
    known = variances > 0
    ratio = np.divide(means, np.sqrt(variances), out=np.zeros_like(means), where=known)
    return np.asarray(np.sqrt(squares) * ratio)

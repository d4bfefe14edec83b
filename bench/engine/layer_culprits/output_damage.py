"""The damage to a variant's outputs against the reference's, and how much of it a restored layer removes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.functional.divergences import LARGEST_DIVERGENCE, flips, jensen_shannon, log_mean_probabilities
from bench.results.layers import Estimate, Removed, Restored
from bench.stats.change import added_change, change
from bench.stats.harm import harm_of_proportions
from bench.stats.interval import Interval
from bench.stats.resampling import Resamples

Float = NDArray[np.float64]
RELATIVE = 1e-6  # of the largest logit: what float32 sums of some layers are off by
NO_PROBABILITIES = LARGEST_DIVERGENCE  # of a sample without finite logits


class OutputDivergence(NamedTuple):
    """The distance of a variant's outputs from the reference's, over samples."""

    js: Estimate  # mean Jensen-Shannon divergence in nats
    flips: float  # share of samples
    not_finite: int  # samples on which the variant has no finite logits


class OutputDamage:
    """The logits (n, classes) of a reference and of its variant, and labels (n,) where there are any.

    A sample on which a network has no finite logits counts as wrong and as log 2 away.
    """

    def __init__(self, reference: Float, variant: Float, labels: NDArray[np.int64] | None) -> None:
        self.reference, self.variant, self.labels = reference, variant, labels
        self.log_p = log_mean_probabilities(reference[None])
        self.before = self._js(variant)
        self.resamples = Resamples(len(reference))

    def divergence(self) -> OutputDivergence:
        """The divergence before any layer is restored."""
        finite = _finite(self.variant)
        estimate, interval = change(self.before, self.resamples, largest=LARGEST_DIVERGENCE)
        moved = np.where(finite, flips(self.reference, self.variant), 1.0)
        js = Estimate(estimate=estimate, ci=(interval.low, interval.high))
        return OutputDivergence(js, float(moved.mean()), int((~finite).sum()))

    def rounding(self, again: Float) -> float:
        """Divergence that arithmetic alone may bring about, from the reference run another way, (n, classes).

        Four times that of the two ways, since both networks round and its square root obeys the triangle inequality;
        at least that of logits which differ by a millionth of the largest: JS <= max|dz|^2 / 8.
        """
        largest = float(np.abs(self.reference).max(initial=0.0))
        return max(4 * float(self._js(again).mean()), (RELATIVE * largest) ** 2 / 8)

    def restored(self, logits: Float) -> Restored:
        """The figures before and after restoring to logits (n, classes), and what that removes, with its interval.

        ``js``: mean Jensen-Shannon divergence to the reference. With labels ``accuracy`` and ``nll``: how much worse
        than the reference's.
        """
        after = self._js(logits)
        gain = added_change(after, self.before, self.resamples, largest=LARGEST_DIVERGENCE)
        divergence = _removed(self.before, after, gain.interval)
        if self.labels is None:
            return Restored(js=divergence)
        right = [self._right(outputs) for outputs in (self.reference, self.variant, logits)]
        gained = harm_of_proportions(right[1], right[2], better="lower")
        accuracy = _removed(right[0] - right[1], right[0] - right[2], gained.interval)
        loss = [self._loss(outputs) for outputs in (self.reference, self.variant, logits)]
        if not all(np.isfinite(outputs).all() for outputs in loss):
            return Restored(js=divergence, accuracy=accuracy)
        saved = added_change(loss[2], loss[1], self.resamples).interval
        return Restored(js=divergence, accuracy=accuracy, nll=_removed(loss[1] - loss[0], loss[2] - loss[0], saved))

    def _js(self, logits: Float) -> Float:
        finite = _finite(logits)
        return np.where(finite, jensen_shannon(self.log_p, _log_probabilities(logits, finite)), NO_PROBABILITIES)

    def _right(self, logits: Float) -> Float:
        finite = _finite(logits)
        return np.asarray((logits.argmax(axis=1) == self.labels) & finite, dtype=np.float64)

    def _loss(self, logits: Float) -> Float:
        finite = _finite(logits)
        return np.where(finite, -_log_probabilities(logits, finite)[np.arange(len(logits)), self.labels], np.nan)


def _finite(logits: Float) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(logits).all(axis=1))


def _log_probabilities(logits: Float, finite: NDArray[np.bool_]) -> Float:
    return log_mean_probabilities(np.where(finite[:, None], logits, 0.0)[None])


def _removed(before: Float, after: Float, interval: Interval) -> Removed:
    return Removed(
        before=float(before.mean()),
        after=float(after.mean()),
        removed=float((before - after).mean()),
        ci=(interval.low, interval.high),
    )

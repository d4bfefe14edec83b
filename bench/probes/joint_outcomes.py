"""What two networks, as they run, say together of inputs: both right, one alone, none."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable
from bench.probes.logits import log_probabilities
from bench.runtimes.base import Predictor

OUTCOMES: Final = ("CC", "CW", "WC", "WW")  # the reference correct or wrong, then the other network
CC, CW, WC = 0, 1, 2


class Judged(NamedTuple):
    """The outcome of each input (n,), and both networks' classes and probabilities of the label (n, 2)."""

    outcome: NDArray[np.uint8]
    classes: NDArray[np.int64]
    confidence: NDArray[np.float64]


class JointJudge(NamedTuple):
    """Two networks as they run."""

    reference: Predictor
    variant: Predictor

    def scores(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log-probabilities (n, classes) of both; raises ``NotApplicable`` where one gives NaN."""
        both = log_probabilities(self.reference, x), log_probabilities(self.variant, x)
        for name, log_p in zip(("reference", "variant"), both, strict=True):
            if broken := int(np.isnan(log_p).any(axis=1).sum()):
                raise NotApplicable(f"the {name} gives NaN on {broken} of {len(x)} inputs: no class to judge")
        return both

    def of(self, x: NDArray[np.float32], labels: NDArray[np.int64]) -> Judged:
        """What both say of inputs (n, ...) with these labels."""
        scores = self.scores(x)
        classes = np.stack([log_p.argmax(axis=1) for log_p in scores], axis=1)
        own = [np.exp(np.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]) for log_p in scores]
        return Judged(outcomes(classes, labels), classes, np.stack(own, axis=1))


def outcomes(classes: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The number in ``OUTCOMES`` of both networks' classes (n, 2).

    >>> outcomes(np.array([[1, 1], [1, 0], [0, 1], [0, 2]]), np.array([1, 1, 1, 1])).tolist()
    [0, 1, 2, 3]
    """
    wrong = classes != labels[:, None]
    return np.asarray(2 * wrong[:, 0] + wrong[:, 1], dtype=np.uint8)

"""Independent trainings, each on a resample of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.registry import parameters
from bench.stats.streams import generator
from bench.uncertainty.base import Labelled, methods
from bench.uncertainty.deep_ensemble import DeepEnsemble


@dataclass(frozen=True)
class Resample:
    """Some of the samples, some of them several times."""

    x: NDArray[np.float32]
    y: NDArray[np.int64] | None


@methods.register("bagging")
@parameters
class Bagging(DeepEnsemble):
    """A deep ensemble whose members learn from n samples drawn out of n with replacement (Breiman 1996).

    Each sees 63.2 % of the samples. Enforced diversity is known to harm large networks: a control.
    """

    def share(self, samples: Labelled, seed: int) -> Labelled:
        """A resample of the member's own."""
        rows = generator("bagging", seed).integers(len(samples.x), size=len(samples.x))
        return Resample(samples.x[rows], None if samples.y is None else samples.y[rows])

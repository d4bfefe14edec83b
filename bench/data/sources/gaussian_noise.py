"""The evaluation samples with Gaussian noise."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from bench.data.base import Dataset, Samples
from bench.data.sources.base import Source, sources
from bench.registry import parameters
from bench.stats.streams import generator


@sources.register("gaussian-noise")
@parameters
class GaussianNoise(Source):
    """The evaluation samples with independent normal noise on every value, cut off at the bounds.

    Each sample's noise is keyed by its own id. Ids are ``gaussian-noise/ID``.
    """

    std: Annotated[float, Field(gt=0, description="standard deviation, as a share of the span of the bounds")]
    seed: Annotated[int, Field(ge=0, description="which noise")] = 0

    def samples(self, dataset: Dataset, where: str) -> Samples:
        """One noisy sample for each evaluation sample."""
        low, high = dataset.input.bounds
        own, scale = dataset.evaluation, self.std * (high - low)
        noisy = np.empty_like(own.x)
        for row, (sample, x) in enumerate(zip(own.ids, own.x, strict=True)):
            noise = generator("ood.gaussian-noise", self.seed, sample).normal(0.0, scale, x.shape)
            noisy[row] = np.clip(x + noise, np.float32(low), np.float32(high))
        return Samples(tuple(f"gaussian-noise/{sample}" for sample in own.ids), noisy, None)

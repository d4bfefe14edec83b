"""A Gaussian over weights, from weights that a training passed through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.streams import generator

Float = NDArray[np.float64]


@dataclass(frozen=True)
class WeightGaussian:
    """``N(mean, s (diag(variances) + DᵀD / (K − 1)))`` with D the deviations (K, d), and s given when it is sampled."""

    mean: Float
    variances: Float
    deviations: Float

    def samples(self, count: int, scale: float, *words: str | int) -> Float:
        """Points (count, d), drawn by the generator of these words.

        ``mean + √s (√variances z + Dᵀ u / √(K − 1))`` with z and u standard normal. With s = ½ it is what Maddox et al.
        draw: half of the diagonal and half of the low-rank covariance.

        >>> still = WeightGaussian(np.array([1.0, 2.0]), np.zeros(2), np.zeros((2, 2)))
        >>> still.samples(1, 0.5, "any").tolist()
        [[1.0, 2.0]]
        """
        rank = len(self.deviations)
        random = generator("weight-gaussian", *words)
        rows = []
        for _ in range(count):
            alone = np.sqrt(self.variances) * random.standard_normal(len(self.mean))
            together = random.standard_normal(rank) @ self.deviations / np.sqrt(rank - 1)
            rows.append(self.mean + np.sqrt(scale) * (alone + together))
        return np.stack(rows)


def weight_gaussian(collected: NDArray[Any], rank: int) -> WeightGaussian:
    """SWAG (Maddox et al. 2019, arXiv 1902.02476) of weights (points, d) in the order in which they were passed.

    Mean and variances (divided by the number of points) are of all points; deviations are the last ``rank`` points less
    the mean. The paper takes each from the mean of what came before it, which spares memory; here all points are known.

    Raises:
        ValueError: If the rank is below 2 or above the number of points.

    >>> found = weight_gaussian(np.array([[0.0, 4.0], [2.0, 4.0]]), 2)
    >>> found.mean.tolist(), found.variances.tolist(), found.deviations.tolist()
    ([1.0, 4.0], [1.0, 0.0], [[-1.0, 0.0], [1.0, 0.0]])
    """
    table = np.asarray(collected, dtype=np.float64)
    if not 2 <= rank <= len(table):
        raise ValueError(f"rank {rank} of {len(table)} points: from 2 to their number is needed")
    mean = table.mean(axis=0)
    return WeightGaussian(mean, table.var(axis=0), table[-rank:] - mean)

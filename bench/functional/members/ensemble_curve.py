"""What deep ensembles of each size are worth: random subsets of a pool of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.functional.members.calibrated_likelihood import CalibratedLikelihood
from bench.functional.temperature import at_temperature
from bench.stats.streams import generator

Float = NDArray[np.float64]


def subsets_of_size(pool: int, size: int, subsets: int, seed: int = 0) -> tuple[tuple[int, ...], ...]:
    """Different random subsets of so many of a pool's networks; all of them where there are no more.

    Raises:
        ValueError: If the size is not from 1 to the pool's, or no subset is asked for.

    >>> subsets_of_size(3, 2, 50), len(subsets_of_size(24, 5, 50)), subsets_of_size(3, 3, 50)
    (((0, 1), (0, 2), (1, 2)), 50, ((0, 1, 2),))
    """
    if not 1 <= size <= pool or subsets < 1:
        raise ValueError(f"{subsets} subsets of {size} of {pool} networks: none to draw")
    random = generator("ensemble subsets", seed, pool, size)
    if comb(pool, size) <= 20 * subsets:
        every = list(combinations(range(pool), size))
        chosen = range(len(every)) if len(every) <= subsets else random.choice(len(every), subsets, replace=False)
        return tuple(every[i] for i in sorted(chosen))
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < subsets:  # at least 20 times as many exist: hardly one is drawn twice
        drawn.add(tuple(sorted(random.permutation(pool)[:size].tolist())))
    return tuple(sorted(drawn))


@dataclass(frozen=True, eq=False)
class EnsembleCurve:
    """Calibrated log-likelihoods of subsets of a pool, sample by sample.

    ``sizes`` (subsets,), ascending, from 1 to the pool's; ``log_likelihoods`` (subsets, n), nats; ``likelihood`` tells
    those of other predictions on the same samples.

    >>> curve = ensemble_curve(np.zeros((3, 2, 2)), np.array([0, 1]), ["a", "b"])
    >>> curve.pool, curve.means().round(6).tolist()  # networks that know nothing: − log 2
    (3, [-0.693147, -0.693147, -0.693147])
    """

    sizes: NDArray[np.int64]
    log_likelihoods: Float
    likelihood: CalibratedLikelihood

    @property
    def pool(self) -> int:
        """How many networks the pool has."""
        return int(self.sizes[-1])

    def means(self) -> Float:
        """Mean over samples and subsets of each size, (pool,), nats."""
        own = self.log_likelihoods.mean(axis=1)
        return np.array([own[self.sizes == size].mean() for size in range(1, self.pool + 1)])


def ensemble_curve(
    logits: NDArray[Any], labels: NDArray[Any], ids: Sequence[str], *, subsets: int = 50, seed: int = 0
) -> EnsembleCurve:
    """Calibrated log-likelihoods of random deep ensembles of every size, of a pool's logits (networks, n, classes).

    Networks are combined by their mean probability, then calibrated by two-fold temperature, as Ashukha et al. (2020,
    arXiv 2002.06470) do. A mean probability of exactly 0 counts as exp(−745).

    Args:
        logits: Or log-probabilities, (networks, n, classes), at least two networks.
        labels: Classes, (n,).
        ids: Stable names of the samples, n.
        subsets: Ensembles of each size; fewer where there are no more, one of the whole pool.
        seed: Of the subsets.

    Raises:
        NotApplicable: No temperature fits an ensemble: all its answers in one half are right, say.
        ValueError: If shapes disagree, there are fewer than two networks, or a logit is NaN or +infinite.

    >>> pool = np.log(np.tile([[2 / 3, 1 / 3]], (2, 90, 1)))
    >>> curve = ensemble_curve(pool, np.arange(90) % 3 // 2, [f"data/{i}" for i in range(90)])
    >>> curve.sizes.tolist(), curve.log_likelihoods.shape
    ([1, 1, 2], (3, 90))
    """
    table = np.asarray(logits)
    if table.ndim != 3 or len(table) < 2:
        raise ValueError(f"logits of shape {table.shape}: at least two networks (networks, n, classes) are needed")
    likelihood = CalibratedLikelihood(labels, ids)
    probabilities = np.stack([np.exp(at_temperature(network, 1.0)) for network in table])
    sizes, found = [], []
    for size in range(1, len(table) + 1):
        for subset in subsets_of_size(len(table), size, subsets, seed):
            mean = probabilities[list(subset)].mean(axis=0)
            with np.errstate(divide="ignore"):
                found.append(likelihood(np.log(mean)))
            sizes.append(size)
    return EnsembleCurve(np.array(sizes), np.stack(found), likelihood)

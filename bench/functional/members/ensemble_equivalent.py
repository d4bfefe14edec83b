"""How many networks a deep ensemble needs to be as good as a method: its deep-ensemble equivalent."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bench.functional.members.ensemble_curve import EnsembleCurve
from bench.stats.interval import LEVEL
from bench.stats.quantiles import expanded_tail
from bench.stats.resampling import Resamples
from bench.stats.streams import generator

Float = NDArray[np.float64]
Censored = Literal["", "below", "above"]
DRAWS: Final = 2000


@dataclass(frozen=True)
class EnsembleEquivalent:
    """An equivalent and the ends of its interval, each from 1 to the pool's size, or censored there.

    ``below``: worse than the mean single network, told as 1; ``above``: better than the whole pool, told as its size.

    >>> str(EnsembleEquivalent(20.5, 14.0, 24.0, "", "", "above"))
    '20.5 [14.0, > 24]'
    """

    estimate: float
    low: float
    high: float
    estimate_censored: Censored
    low_censored: Censored
    high_censored: Censored

    def __str__(self) -> str:
        """Read as ``estimate [low, high]``; what is censored as ``< 1`` or ``> pool``."""
        signs = {"": "", "below": "< ", "above": "> "}
        estimate, low, high = (
            f"{signs[censored]}{number:.{0 if censored else 1}f}"
            for number, censored in (
                (self.estimate, self.estimate_censored),
                (self.low, self.low_censored),
                (self.high, self.high_censored),
            )
        )
        return f"{estimate} [{low}, {high}]"


def smallest_size(curve: NDArray[Any], worth: float) -> float:
    """The least number of networks l with ``curve(l) ≥ worth``, between whole ones on a line.

    The curve (pool,) of sizes 1, 2, ... is made monotone first (isotonic regression: least squares among rising ones).

    Returns:
        From 1 to the pool's size; −inf where already the mean single network is better, inf where no size is as good.

    >>> rising = np.array([0.0, 2.0, 3.0])
    >>> [smallest_size(rising, worth) for worth in (-1, 0, 1, 2.5, 4)]
    [-inf, 1.0, 1.5, 2.5, inf]
    """
    from scipy.optimize import isotonic_regression

    rising = isotonic_regression(curve).x
    i = int(np.searchsorted(rising, worth))
    if i == 0:
        return 1.0 if worth == rising[0] else -np.inf
    if i == len(rising):
        return np.inf
    return float(i + (worth - rising[i - 1]) / (rising[i] - rising[i - 1]))


def ensemble_equivalent(
    curve: EnsembleCurve, log_p: NDArray[Any], *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> EnsembleEquivalent:
    """Deep-ensemble equivalent of a method, with an interval (Ashukha et al. 2020, arXiv 2002.06470).

    ``min {l : CLL_DE(l) ≥ CLL_method}``, CLL the mean calibrated log-likelihood, CLL_DE(l) that of the pool's subsets.

    The interval is of the method as a recipe, of which one training is at hand. Each draw resamples

    - the samples, alike for the method and all subsets (paired; temperatures stay those of all samples),
    - the subsets of each size, and
    - the luck of training: how far one random subset, of the size that the method is worth, is from the mean of its
      size. A method's luck is so taken to be that of a deep ensemble of equal worth. Subsets of one pool vary as
      ``1/l − 1/L``; a fresh ensemble beside a fresh pool as ``1/l + 1/L``: deviations are widened by the ratio's root.

    In simulations of pools of 24 the 95 % interval of an ensemble of five drawn apart held 5 in 94 to 100 % of trials,
    the more the less networks differ in luck; without the last part in 50 to 92 %.

    Args:
        curve: Of the pool.
        log_p: The method's log-probabilities or logits on the curve's samples, (n, classes).
        draws: Of the bootstrap.
        level: Coverage wanted.
        seed: Of the draws.

    Raises:
        NotApplicable: No temperature fits the method.
        ValueError: If the samples are not those of the curve.

    >>> from bench.functional.members.ensemble_curve import ensemble_curve
    >>> labels, ids = np.arange(300) % 3, [f"data/{i}" for i in range(300)]
    >>> pool = 2 * np.random.default_rng(0).normal(size=(7, 300, 3)) + 2 * np.eye(3)[labels]
    >>> curve = ensemble_curve(pool[:6], labels, ids)
    >>> round(ensemble_equivalent(curve, pool[6], draws=50).estimate)  # one network more of the same kind
    1
    """
    own = curve.likelihood(log_p)
    estimate = smallest_size(curve.means(), float(own.mean()))
    resamples = Resamples(len(own), draws)
    means = resamples.means(np.vstack([own, curve.log_likelihoods]))
    random = generator("ensemble equivalent", seed, curve.pool)
    shift = _luck(curve, means[1:], min(max(estimate, 1.0), float(curve.pool)), random)
    curves = np.stack([_resampled(means[1:][curve.sizes == k], random) for k in range(1, curve.pool + 1)])
    drawn = [smallest_size(one, worth) for one, worth in zip(curves.T, means[0] + shift, strict=True)]
    tail = expanded_tail((1 - level) / 2, len(own))
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")  # a drawn one: infinite ones have no mean
    told, censored = zip(*(_within(float(number), curve.pool) for number in (estimate, low, high)), strict=True)
    return EnsembleEquivalent(*told, *censored)


def _resampled(means: Float, random: np.random.Generator) -> Float:
    """Mean over resampled subsets: means (subsets, draws) to (draws,)."""
    subsets, draws = means.shape
    counts = random.multinomial(subsets, np.full(subsets, 1 / subsets), size=draws).T
    return np.asarray((counts * means).sum(axis=0) / subsets)


def _luck(curve: EnsembleCurve, means: Float, worth: float, random: np.random.Generator) -> Float:
    """How much a training of that worth happens to be better than its like: of means (subsets, draws), (draws,)."""
    size = min(max(round(worth), 1), curve.pool // 2)  # of larger subsets there are few that differ
    alike = means[curve.sizes == size]
    draws = np.arange(alike.shape[1])
    deviation = alike[random.integers(len(alike), size=len(draws)), draws] - alike.mean(axis=0)
    return np.asarray(deviation * sqrt((1 / worth + 1 / curve.pool) / (1 / size - 1 / curve.pool)))


def _within(number: float, pool: int) -> tuple[float, Censored]:
    if np.isinf(number):
        return (1.0, "below") if number < 0 else (float(pool), "above")
    return number, ""

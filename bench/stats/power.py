"""Power of score tests, exact intervals and means, and the samples that they need: what a gate can see."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL
from bench.stats.noninferiority import ALPHA
from bench.stats.proportions import binomial_tail, clopper_pearson
from bench.stats.quantiles import normal_quantile, normal_survival

POWER = 0.8
MOST = 10_000_000  # samples beyond which nobody looks
REACH = 6.0  # standard deviations of a count that are enumerated
TABLES = 1_000_000  # tables enumerated at most; of more, the normal law is as good


def paired_scores(gained: NDArray[Any], lost: NDArray[Any], n: int, difference: float) -> NDArray[np.float64]:
    """``proportions.paired_score`` of many tables with n pairs at once.

    >>> paired_scores(np.array([10, 0]), np.array([2, 0]), 100, 0.0).round(4).tolist()
    [2.3094, 0.0]
    """
    b, c = np.asarray(gained, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    linear = (2 * n - b + c) * difference - b - c
    root = np.sqrt(np.maximum(0, linear * linear + 8 * n * c * difference * (1 - difference)))
    q = np.maximum(max(0.0, -difference), (root - linear) / (4 * n))
    variance = n * (2 * q + difference * (1 - difference))
    distance = b - c - n * difference
    with np.errstate(divide="ignore", invalid="ignore"):
        score = distance / np.sqrt(variance)
    still = np.where(np.abs(distance) <= 1e-9 * n, 0.0, np.copysign(np.inf, distance))
    return np.where(variance <= 1e-12 * n, still, score)


def score_power(n: int, harm: float, tolerance: float, discordance: float, alpha: float = ALPHA) -> float:
    """Probability that the paired score test finds a harm beyond the tolerance: exact, over all likely tables.

    Of n pairs, b change for the worse with probability (discordance + harm) / 2 and c for the better with
    (discordance - harm) / 2; the test says so where z(tolerance) >= z(1 - alpha). What lies beyond six standard
    deviations of a count is left out (1e-8); of more than a million likely tables the normal law is taken.

    Args:
        n: Pairs, at least 1.
        harm: The true harm, a difference of proportions.
        tolerance: What is tolerated.
        discordance: Share of pairs whose outcome changes at all; at least |harm| is taken.
        alpha: One-sided level.

    Raises:
        ValueError: If n < 1 or a proportion is outside its range.

    >>> score_power(1000, 0.02, 0.02, 0.05) < 0.035 < 0.9 < score_power(1000, 0.05, 0.02, 0.06)
    True
    """
    if n < 1 or not -1 <= harm <= 1 or not 0 <= discordance <= 1:
        raise ValueError(f"n = {n}, harm {harm} and discordance {discordance} are no paired proportions")
    share = max(discordance, abs(harm))
    worse, better = (share + harm) / 2, (share - harm) / 2
    b = _likely(n, worse)
    given = better / (1 - worse) if worse < 1 else 0.0
    lowest, highest = _likely(n - int(b[-1]), given)[0], _likely(n - int(b[0]), given)[-1]
    c = np.arange(lowest, highest + 1)
    if b.size * c.size > TABLES:
        return _normal_power(n, worse, better, tolerance, alpha)
    weight = _binomial(n, worse, b)[:, None] * _binomial((n - b)[:, None], given, c[None, :])
    hit = paired_scores(b[:, None], c[None, :], n, tolerance) >= normal_quantile(1 - alpha)
    return float(weight[hit].sum())


def _normal_power(n: int, worse: float, better: float, tolerance: float, alpha: float) -> float:
    """The same of very many tables: the score is normal about its value at the expected table."""
    harm, share = worse - better, worse + better
    centre = float(paired_scores(np.array([n * worse]), np.array([n * better]), n, tolerance)[0])
    spread = 1.0
    if centre != 0:
        assumed = n * ((harm - tolerance) / centre) ** 2  # variance of one pair's difference under the tolerance
        spread = sqrt((share - harm * harm) / assumed)
    return normal_survival((normal_quantile(1 - alpha) - centre) / spread) if spread > 0 else float(centre > 0)


def _likely(n: int, p: float) -> NDArray[np.int64]:
    reach = REACH * sqrt(max(n * p * (1 - p), 1.0)) + REACH
    return np.arange(max(0, int(n * p - reach)), min(n, ceil(n * p + reach)) + 1, dtype=np.int64)


def _binomial(n: Any, p: float, k: NDArray[np.int64]) -> NDArray[np.float64]:
    from scipy.special import gammaln, xlog1py, xlogy

    n = np.asarray(n, dtype=np.float64)
    inside = k <= n
    most = np.where(inside, n - k, 0)
    logs = gammaln(n + 1) - gammaln(k + 1) - gammaln(most + 1) + xlogy(k, p) + xlog1py(most, -p)
    return np.where(inside, np.exp(logs), 0.0)


def detectable_proportion(
    n: int, tolerance: float, discordance: float, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """Smallest harm that n pairs find beyond the tolerance with this power; None where none below 1 is found.

    The discordance is that of networks without harm: with a harm h the pairs that change are taken as discordance + h.

    >>> 0.03 < detectable_proportion(900, 0.02, 0.01) < 0.04
    True
    """

    def chance(harm: float) -> float:
        return score_power(n, harm, tolerance, min(1.0, discordance + harm), alpha)

    return _smallest(chance, tolerance, power)


def _smallest(chance: Callable[[float], float], tolerance: float, power: float) -> float | None:
    """The smallest true figure beyond the tolerance that is found with this power; None where none up to 1 is."""
    low, high = tolerance, 1.0
    if chance(high) < power:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle) >= power else (middle, high)
    return float(high)


def samples_for_proportion(
    tolerance: float, discordance: float, alpha: float = ALPHA, power: float = POWER
) -> int | None:
    """Pairs that a tolerance needs: with so many, twice the tolerance is found beyond it with this power.

    Exact power rises with n in small steps up and down: from the answer on, the next hundredth more pairs has it too.
    None where ten million do not do, as for a tolerance of 0.

    >>> 500 < samples_for_proportion(0.02, 0.01) < 2000
    True
    """
    if tolerance <= 0 or 2 * tolerance > 1:
        return None

    def enough(n: int) -> bool:
        share = min(1.0, discordance + 2 * tolerance)
        return score_power(n, 2 * tolerance, tolerance, share, alpha) >= power

    return _fewest(enough)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The fewest samples from which on the next hundredth more are enough too; None beyond ten million."""
    high = 8
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) and enough(middle + max(1, middle // 100)) else (middle, high)
    return high


def detectable_mean(n: int, tolerance: float, spread: float, alpha: float = ALPHA, power: float = POWER) -> float:
    """Smallest mean that n samples find beyond the tolerance: tolerance + (z(1 - alpha) + z(power)) s / sqrt(n).

    Args:
        n: Samples.
        tolerance: What is tolerated, in the unit of the spread.
        spread: Standard deviation of the paired differences.
        alpha: One-sided level.
        power: Probability wanted.

    >>> round(detectable_mean(100, 0.0, 1.0), 3)  # (1.960 + 0.842) / 10
    0.28
    """
    return tolerance + (normal_quantile(1 - alpha) + normal_quantile(power)) * spread / sqrt(n)


def samples_for_mean(tolerance: float, spread: float, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """Samples that a tolerance needs: with so many, twice the tolerance is found beyond it with this power.

    ((z(1 - alpha) + z(power)) s / tolerance)^2, and two more since the spread is estimated. None for a tolerance of 0.

    >>> samples_for_mean(0.28, 1.0)
    103
    """
    if tolerance <= 0:
        return None
    return ceil(((normal_quantile(1 - alpha) + normal_quantile(power)) * spread / tolerance) ** 2) + 2


def critical_events(n: int, tolerance: float, level: float = LEVEL) -> int:
    """Fewest events of n whose Clopper-Pearson interval lies above the tolerance; n + 1 where none does.

    >>> critical_events(200, 0.05)  # 17 of 200 is [0.0503, 0.133], 16 is [0.046, 0.127]
    17
    """
    low, high = 0, n + 1
    while low < high:  # the lower limit rises with the events
        middle = (low + high) // 2
        below = clopper_pearson(middle, n, level).low if middle <= n else inf
        low, high = (low, middle) if below is not None and below > tolerance else (middle + 1, high)
    return low


def count_power(n: int, rate: float, tolerance: float, level: float = LEVEL) -> float:
    """Probability that a rate's exact interval lies above the tolerance: exact, P(X >= critical events).

    Args:
        n: Samples, at least 1.
        rate: The true rate.
        tolerance: What is tolerated.
        level: Coverage of the interval.

    >>> round(count_power(10, 1.0, 0.5), 3), round(count_power(10, 0.5, 0.5), 4)  # nine of ten or more: 11 / 1024
    (1.0, 0.0107)
    """
    critical = critical_events(n, tolerance, level)
    return 0.0 if critical > n else binomial_tail(critical, n, rate)


def detectable_rate(n: int, tolerance: float, power: float = POWER) -> float | None:
    """Smallest rate of events that n samples find beyond the tolerance with this power; None where none is found.

    >>> 0.1 < detectable_rate(200, 0.05) < 0.11
    True
    """
    return _smallest(lambda rate: count_power(n, rate, tolerance), tolerance, power)


def samples_for_rate(rate: float, tolerance: float, power: float = POWER) -> int | None:
    """Samples with which a true rate is found beyond the tolerance with this power; None where ten million do not do.

    Exact power rises with n in small steps up and down: from the answer on, the next hundredth more samples has it too.

    >>> 150 < samples_for_rate(0.1, 0.05) < 300
    True
    """
    if not 0 <= tolerance < rate <= 1:
        return None

    def enough(n: int) -> bool:
        return count_power(n, rate, tolerance) >= power

    return _fewest(enough)

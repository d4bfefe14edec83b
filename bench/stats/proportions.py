"""Exact and score intervals for counts: right at 0 and n events, where a bootstrap sees no uncertainty at all."""

from __future__ import annotations

from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.quantiles import normal_quantile, normal_survival


def _check(events: int, n: int) -> None:
    if n < 1 or not 0 <= events <= n:
        raise ValueError(f"{events} events of {n} is not a proportion")


def clopper_pearson(events: int, n: int, level: float = LEVEL) -> Interval:
    """Exact interval of a proportion: the p at which so many (so few) events have probability (1 - level)/2.

    Covers at least ``level`` for every p (Clopper & Pearson 1934, Biometrika 26:404).

    >>> low, high, _ = clopper_pearson(0, 360)
    >>> low, round(high, 4)
    (0.0, 0.0102)
    """
    from scipy.special import betaincinv

    _check(events, n)
    tail = (1 - level) / 2
    low = float(betaincinv(events, n - events + 1, tail)) if events > 0 else 0.0
    high = float(betaincinv(events + 1, n - events, 1 - tail)) if events < n else 1.0
    return Interval(low, high, "exact")


def binomial_tail(events: int, n: int, p: float) -> float:
    """P(X >= events) for X binomial: the exact one-sided p-value of 'the proportion is at most p'.

    Args:
        events: how many were seen, 0 to n.
        n: trials, at least 1.
        p: probability of an event, 0 to 1.

    Raises:
        ValueError: the counts are no proportion, or p is no probability.

    >>> binomial_tail(2, 2, 0.5), binomial_tail(0, 5, 0.1)
    (0.25, 1.0)
    >>> round(binomial_tail(2, 3, 0.5), 12)  # (3 + 1) / 8
    0.5
    """
    _check(events, n)
    if not 0 <= p <= 1:
        raise ValueError(f"{p} is not a probability")
    from scipy.special import bdtrc

    return float(bdtrc(events - 1, n, p)) if events > 0 else 1.0


class PairedTable(NamedTuple):
    """Paired 0/1 outcomes: how many are 1 only in the second, 1 only in the first, and how many pairs there are."""

    gained: int
    lost: int
    n: int

    @classmethod
    def of(cls, first: NDArray[np.float64], second: NDArray[np.float64]) -> PairedTable:
        """Count the discordant pairs of two (n,) arrays of 0 and 1; anything else raises ``ValueError``.

        >>> PairedTable.of(np.array([0.0, 0, 1, 1]), np.array([1.0, 1, 0, 1]))
        PairedTable(gained=2, lost=1, n=4)
        """
        if first.shape != second.shape or first.ndim != 1 or first.size == 0:
            raise ValueError(f"paired outcomes of shapes {first.shape} and {second.shape}")
        for outcomes in (first, second):
            if not np.isin(outcomes, (0, 1)).all():
                raise ValueError("a proportion needs outcomes of 0 or 1")
        gained, lost = np.count_nonzero(second > first), np.count_nonzero(second < first)
        return cls(int(gained), int(lost), first.size)

    @property
    def difference(self) -> float:
        """Proportion in the second minus proportion in the first, from -1 to 1.

        >>> PairedTable(gained=2, lost=1, n=4).difference
        0.25
        """
        return (self.gained - self.lost) / self.n

    def p_above(self, threshold: float) -> float:
        """One-sided score p-value that the true difference is at most the threshold.

        >>> round(PairedTable(10, 2, 100).p_above(0.0), 4)  # z = 8 / sqrt(12)
        0.0105
        """
        return normal_survival(paired_score(self, threshold))


def paired_score(table: PairedTable, difference: float) -> float:
    """Tango's score statistic of 'the true paired difference is d'.

    z = (b - c - n d) / sqrt(n (2 q + d (1 - d))), with q the restricted maximum-likelihood estimate of the
    probability of 'lost': the larger root of 2n q^2 + ((2n - b + c) d - b - c) q - c d (1 - d) = 0
    (Tango 1998, Statistics in Medicine 17:891). At d = 0 it is McNemar's (b - c) / sqrt(b + c).

    >>> round(paired_score(PairedTable(10, 2, 100), 0.0), 4), paired_score(PairedTable(0, 0, 100), 0.0)
    (2.3094, 0.0)
    """
    b, c, n = table
    linear = (2 * n - b + c) * difference - b - c
    root = sqrt(max(0.0, linear * linear + 8 * n * c * difference * (1 - difference)))
    lost = max(0.0, -difference, (root - linear) / (4 * n))
    variance = n * (2 * lost + difference * (1 - difference))
    distance = b - c - n * difference
    if variance <= 1e-12 * n:
        return 0.0 if abs(distance) <= 1e-9 * n else inf if distance > 0 else -inf
    return distance / sqrt(variance)


def paired_difference(table: PairedTable, level: float = LEVEL) -> Interval:
    """Score interval for a paired difference of proportions (Tango 1998): every d with |z(d)| <= z.

    Without any discordant pair it is +- z^2 / (n + z^2), never a point.

    >>> low, high, _ = paired_difference(PairedTable(0, 0, 100))
    >>> round(low, 4), round(high, 4)
    (-0.037, 0.037)
    """
    z = normal_quantile((1 + level) / 2)

    def limit(inside: float, outside: float, sign: float) -> float:
        for _ in range(60):  # z(d) falls with d; 60 halvings of [-1, 1] reach rounding
            middle = (inside + outside) / 2
            if sign * paired_score(table, middle) <= z:
                inside = middle
            else:
                outside = middle
        return inside

    return Interval(limit(table.difference, -1.0, 1.0), limit(table.difference, 1.0, -1.0), "score")

"""Figures of several networks on the same samples, with true means that are known: what rank intervals are tried on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.stats.paired_order import Order, counts_less, draws_less, means_less
from bench.stats.rank_intervals import RankInterval, rank_intervals
from bench.stats.resampling import Resamples

Float = NDArray[np.float64]
Draw = Callable[[np.random.Generator, Float, int], Float]  # (generator, shifts (m,), n) -> (m, n)


class Law(NamedTuple):
    """How samples are drawn, how far apart neighbours are where they are (at n = 400), and how they are ordered."""

    draw: Draw
    step: float
    order: Callable[[Float], Order]


def normal(random: np.random.Generator, shifts: Float, n: int) -> Float:
    return shifts[:, None] + 0.8 * random.normal(size=n) + 0.6 * random.normal(size=(len(shifts), n))


def student(random: np.random.Generator, shifts: Float, n: int) -> Float:
    return shifts[:, None] + random.standard_t(3, size=(len(shifts), n))


def lognormal(sigma: float) -> Draw:
    """Distances of shared difficulty, all of one mean times 1 + shift."""

    def draw(random: np.random.Generator, shifts: Float, n: int) -> Float:
        z = np.sqrt(0.5) * (random.normal(size=n) + random.normal(size=(len(shifts), n)))
        return (1 + shifts)[:, None] * np.exp(sigma * z - sigma**2 / 2)

    return draw


def unlike(random: np.random.Generator, shifts: Float, n: int) -> Float:
    """Every other network moves a tenth of the samples far, the others all of them a little: equal means."""
    m = len(shifts)
    far = np.where(random.random((m, n)) < 0.1, 10 * np.exp(random.normal(size=(m, n)) - 0.5), 0.0)
    table = np.where(np.arange(m)[:, None] % 2 == 0, far, random.gamma(2, 0.5, (m, n)))
    return (1 + shifts)[:, None] * table


def events(rate: float) -> Draw:
    """Errors of networks that find the same samples hard."""

    def draw(random: np.random.Generator, shifts: Float, n: int) -> Float:
        z = np.sqrt(0.5) * (random.normal(size=n) + random.normal(size=(len(shifts), n)))
        return (stats.norm.cdf(z) < np.minimum(rate * (1 + shifts), 1)[:, None]).astype(float)

    return draw


def two_references(random: np.random.Generator, shifts: Float, n: int) -> Float:
    """Harms on two targets, whose references answer 2 % of the samples differently, as many either way."""
    own = events(0.1)(random, shifts, n)
    first = events(0.1)(random, np.zeros(1), n)[0]
    changed = random.random(n) < np.where(first > 0, 0.1, 0.1 / 9)
    second = np.where(changed, 1 - first, first)
    return own - np.where(np.arange(len(shifts))[:, None] % 2 == 0, first, second)


def clusters(random: np.random.Generator, shifts: Float, n: int) -> Float:
    """Near duplicates: three networks at a time part on one sample in fifty."""
    m = len(shifts)
    own = lognormal(1.0)(random, shifts, n)
    return np.where(random.random((m, n)) < 0.02, own, own[3 * (np.arange(m) // 3)])


def log_of_mean(table: Float) -> Order:
    """The order of a figure that is no mean, from its draws."""
    n = table.shape[1]
    return draws_less(np.log(table.mean(axis=1)), np.log(Resamples(n, 1000).means(table)), n)


LAWS = {
    "normal": Law(normal, 0.2, means_less),
    "Student t(3)": Law(student, 0.3, means_less),
    "log-normal, skewness 6.2": Law(lognormal(1.0), 0.3, means_less),
    "log-normal, skewness 40": Law(lognormal(1.54), 0.4, means_less),
    "unlike shapes": Law(unlike, 0.3, means_less),
    "near duplicates": Law(clusters, 0.3, means_less),
    "logarithm of a mean": Law(lognormal(1.0), 0.3, log_of_mean),
    "events, .01": Law(events(0.01), 1.0, counts_less),
    "events, .05": Law(events(0.05), 1.0, counts_less),
    "events, .3": Law(events(0.3), 0.2, counts_less),
    "two references": Law(two_references, 0.5, counts_less),
}
KINDS = ("tied", "some tied", "apart")


def true_shifts(kind: str, m: int, step: float) -> Float:
    """All tied, tied three by three (of two: both), or each a step from the next."""
    if kind == "tied":
        return np.zeros(m)
    return step * (np.arange(m) // 3 if kind == "some tied" else np.arange(m)).astype(float)


def admissible(shifts: Float) -> list[RankInterval]:
    """The ranks that ties allow."""
    return rank_intervals(shifts[:, None] < shifts)


class Coverage(NamedTuple):
    """How often all intervals held all admissible ranks, of how many trials, and the mean width in ranks."""

    hits: int
    trials: int
    width: float


def coverage(law: Law, kind: str, m: int, n: int, trials: int, *words: Any) -> Coverage:
    random = np.random.default_rng([m, n, trials, KINDS.index(kind), *words])
    shifts = true_shifts(kind, m, law.step * min(1.0, np.sqrt(400 / n)))
    true, hits, width = admissible(shifts), 0, 0.0
    for _ in range(trials):
        found = rank_intervals(law.order(law.draw(random, shifts, n)))
        hits += all(own.low <= wanted.low and own.high >= wanted.high for own, wanted in zip(found, true, strict=True))
        width += float(np.mean([high - low + 1 for low, high in found]))
    return Coverage(hits, trials, width / trials)

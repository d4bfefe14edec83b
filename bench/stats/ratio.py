"""Two variants beside each other: how far one is from the reference, beside the other; it needs no yardsticks."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import FEW, Change, change, change_and_draws, events
from bench.stats.interval import LEVEL, NO_INTERVAL, Interval
from bench.stats.mean import change_vectors, checked, student_quantiles
from bench.stats.percentile import percentile_interval
from bench.stats.quantiles import normal_quantile
from bench.stats.resampling import Float, Resamples
from bench.stats.yardstick import Power

NAMES = ("the first variant", "the second variant")
WIDEST = 50.0  # natural logarithm of the largest ratio looked at


class Ratio(NamedTuple):
    """The ratio of two gaps and its interval, or the reason why there is none, or one limit alone."""

    estimate: float | None
    interval: Interval
    reason: str = ""


def paired_ratio(
    first: NDArray[Any],
    second: NDArray[Any],
    resamples: Resamples,
    *,
    power: Power,
    count: bool = False,
    floor: float = 0.0,
    names: tuple[str, str] = NAMES,
) -> Ratio:
    """The ratio of the first variant's distance from the reference to the second's: (mean d_1 / mean d_2)^(1/p).

    Below 1 where the first is nearer. It is the ratio of both gaps, in which the yardsticks cancel, so none are needed;
    the samples are shared: percentile interval of the log-ratio over the resamples; Fieller's where fewer than half of
    the samples differ; Nam & Blackwelder's score interval for counts (``count_ratio``). Whether two gap intervals
    overlap says nothing of this. It speaks of these two files; a claim on two methods needs five replicates of each.

    Args:
        first: Distances of the first variant from the reference, (n,).
        second: Distances of the second, on the same samples, (n,).
        resamples: Of n samples.
        power: 1 for distances, 2 for squared ones, as in ``gap``.
        count: Distances are events of 0 or 1.
        floor: Mean distance that arithmetic alone brings about.
        names: What reasons call both.

    Returns:
        The ratio, at least 0, without unit. Where one variant does not differ from the reference beyond the floor there
        is no ratio and one limit alone, of at least 95 %, with the reason; where neither does, nothing. No interval
        where a continuous change differs from 0 in fewer than ten samples.

    Raises:
        ValueError: If shapes disagree, a distance is not finite, or a count is not 0 or 1.

    >>> ratio = paired_ratio(np.full(20, 1.0), np.full(20, 4.0), Resamples(20, 5), power=2)
    >>> ratio.estimate, [round(end, 6) for end in ratio.interval[:2]]  # (1 / 4)^(1/2)
    (0.5, [0.5, 0.5])
    """
    pair = checked(first), checked(second)
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"distances of shapes {pair[0].shape} and {pair[1].shape} are not paired")
    draws: list[Float] = []
    if count:
        known = [change(distances, resamples, count=True) for distances in pair]
    else:
        resamples = resamples.ahead([ratio_vectors(*pair)])
        changes = [change_and_draws(distances, resamples) for distances in pair]
        known, draws = [item for item, _ in changes], [drawn for _, drawn in changes]
    near = [item.interval.low is None or item.interval.low <= floor or item.estimate <= 0 for item in known]
    if any(near):
        return _one_limit(pair, known, near, power, count, floor, names)
    estimate = exp((log(known[0].estimate) - log(known[1].estimate)) / power)
    if count:
        return Ratio(estimate, _root(count_ratio(*pair), power))
    few, name = min(zip((int(np.count_nonzero(distances)) for distances in pair), names, strict=True))
    if few < FEW:
        return Ratio(estimate, NO_INTERVAL, f"{name} differs in {few} samples; an interval needs {FEW}")
    if _sparse(*pair):
        interval = _root(_sparse_ratio(*pair, resamples), power)
        return Ratio(estimate, interval, "" if interval.method != "none" else f"{name} differs in {few} samples only")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = (np.log(draws[0]) - np.log(draws[1])) / power
    low, high, method = percentile_interval(logs, samples=pair[0].size)
    if low is None or high is None:
        return Ratio(estimate, NO_INTERVAL, "the ratio does not exist in more than 5 % of the resamples")
    return Ratio(estimate, Interval(exp(low), exp(high), method))


def ratio_vectors(first: NDArray[Any], second: NDArray[Any]) -> Float:
    """The vectors (m, n) whose resampled means ``paired_ratio`` of two continuous changes needs: ``Resamples.ahead``.

    >>> len(ratio_vectors(np.arange(1.0, 5.0), np.arange(2.0, 6.0)))  # two of each change
    4
    """
    pair = checked(first), checked(second)
    residual = [pair[0] - _ratio(*pair) * pair[1]] if _sparse(*pair) else []
    return np.concatenate([change_vectors(values) for values in (*pair, *residual)])


def _ratio(first: Float, second: Float) -> float:
    return float(first.mean()) / float(second.mean())


def _sparse(first: Float, second: Float) -> bool:
    """Whether a variant differs in ten samples at least and in fewer than half of them."""
    few = min(int(np.count_nonzero(distances)) for distances in (first, second))
    return FEW <= few < first.size / 2 and second.mean() > 0


def _sparse_ratio(first: Float, second: Float, resamples: Resamples) -> Interval:
    """Fieller's interval of a ratio of means with a bootstrap's quantiles, where most distances are 0.

    Every theta with t_low <= (m_1 - theta m_2) / sd(d_1 - theta d_2) <= t_high, t from the studentised bootstrap of
    d_1 - R d_2 at the estimated ratio R (Fieller 1954, J. R. Statist. Soc. B 16:175). A limit that does not exist is
    None.
    """
    one, two, variance = float(first.mean()), float(second.mean()), np.cov(first, second, bias=True)
    limits: list[float | None] = []
    for t in reversed(student_quantiles(first - _ratio(first, second) * second, resamples)):
        # (one - theta two)^2 = t^2 (v11 - 2 theta v12 + theta^2 v22)
        a = two**2 - t**2 * variance[1, 1]
        b = one * two - t**2 * variance[0, 1]
        square = b * b - a * (one**2 - t**2 * variance[0, 0])
        theta = (b - np.sign(t) * sqrt(max(square, 0.0))) / a if a > 0 else 0.0
        limits.append(float(theta) if theta > 0 else None)
    return Interval(limits[0], limits[1], "bootstrap") if any(limits) else NO_INTERVAL


def _one_limit(
    pair: tuple[Float, Float],
    known: Sequence[Change],
    near: list[bool],
    power: Power,
    count: bool,
    floor: float,
    names: tuple[str, str],
) -> Ratio:
    """The one limit of a ratio of which one variant is not beyond the floor.

    The limit joins one 97.5 % limit of each change, so both hold with 95 % whatever their dependence.
    """
    beyond = f"from the reference beyond the numerical floor {floor:.3g}"
    if all(near):
        what = "neither variant" if names == NAMES else f"neither {names[0]} nor {names[1]}"
        return Ratio(None, NO_INTERVAL, f"{what} differs {beyond}")
    name, side = (names[0], "an upper") if near[0] else (names[1], "a lower")
    reason = f"{name} does not differ {beyond}: {side} limit only"
    if count and floor == 0:
        return Ratio(None, _root(count_ratio(*pair), power), reason)
    (_, above), (_, below) = known
    if near[0]:
        upper = max(inf if above.high is None else above.high, floor) / (below.low or 0.0)
        return Ratio(None, _root(Interval(None, upper, above.method), power), reason)
    most = max(inf if below.high is None else below.high, floor)
    if most == 0:  # it is exactly the reference in every sample: the ratio knows no end
        return Ratio(None, NO_INTERVAL, reason.replace(f": {side} limit only", " in any sample"))
    return Ratio(None, _root(Interval((above.low or 0.0) / most, None, above.method), power), reason)


def _root(interval: Interval, power: Power) -> Interval:
    low, high = (None if limit is None else limit ** (1 / power) for limit in interval[:2])
    return Interval(low, high, interval.method)


def count_ratio(first: NDArray[Any], second: NDArray[Any], level: float = LEVEL) -> Interval:
    """Score interval for the ratio of two paired proportions: every theta with |z(theta)| <= z.

    z = (x_1 - theta x_2) / sqrt(n theta (q_1 + q_2)), q_1 and q_2 the probabilities of an event in the first alone and
    in the second alone, of greatest likelihood under p_1 = theta p_2 (Nam & Blackwelder 2002, Statistics in Medicine
    21:689). Events that both share cancel. Without an event of the first there is no lower limit, without one of the
    second no upper one.

    Args:
        first: Events of the first, 0 or 1, (n,).
        second: Events of the second on the same samples, (n,).
        level: Coverage wanted.

    Raises:
        ValueError: If the outcomes are not 0 or 1.

    >>> one, two = np.r_[np.ones(20), np.zeros(80)], np.r_[np.zeros(10), np.ones(30), np.zeros(60)]
    >>> [round(end, 3) for end in count_ratio(one, two)[:2]]  # 20 / 30, ten of them shared
    [0.425, 1.031]
    >>> count_ratio(0 * one, two).low is None
    True
    """
    a, b = checked(first), checked(second)
    x, y = events(a), events(b)
    if x == y == 0:
        return NO_INTERVAL
    both, z = events(a * b), normal_quantile((1 + level) / 2)

    def limit(sign: float) -> float:
        """The theta at which the score is ``sign`` z: it falls as theta grows."""
        low, high = -WIDEST, WIDEST
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if _ratio_score(x, y, both, a.size, exp(middle)) > sign * z else (low, middle)
        return exp((low + high) / 2)

    return Interval(limit(1.0) if x else None, limit(-1.0) if y else None, "score")


def _ratio_score(x: int, y: int, both: int, n: int, theta: float) -> float:
    """Nam & Blackwelder's statistic of 'the first is theta times as frequent'."""
    first, second, alone, other = x / n, y / n, (x - both) / n, (y - both) / n
    root = sqrt((first - theta**2 * second) ** 2 + 4 * theta**2 * alone * other)
    q = max(0.0, (theta**2 * (second + 2 * alone) - first + root) / (2 * theta * (theta + 1)))
    p = max(0.0, theta * q - (theta - 1) * (first + other))
    distance = first - theta * second
    variance = theta * (q + p) / n
    if variance <= 1e-30:
        return 0.0 if distance == 0 else inf if distance > 0 else -inf
    return distance / sqrt(variance)

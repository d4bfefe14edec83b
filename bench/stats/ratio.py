"""Two variants on one scale: how far one is from the reference beside the other, in which the yardsticks cancel."""

from __future__ import annotations

from math import exp, log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import FEW, change_and_draws, change_vectors, checked
from bench.stats.interval import NO_INTERVAL, Interval
from bench.stats.percentile import percentile_interval
from bench.stats.resampling import Resamples
from bench.stats.yardstick import Power


class Ratio(NamedTuple):
    """The ratio of two gaps and its interval, or the reason why there is none."""

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
) -> Ratio:
    """How far the first variant is from the reference beside the second: (mean d_1 / mean d_2)^(1/p).

    Below 1 where the first is nearer. Both gaps divide by the same yardsticks, whose error cancels, and the samples are
    shared: percentile interval of the log-ratio over the resamples. Whether two gap intervals overlap says nothing of
    this. It speaks of these two files; a claim on two methods needs five replicates of each.

    Args:
        first: Distances of the first variant from the reference, (n,).
        second: Distances of the second, on the same samples, (n,).
        resamples: Of n samples.
        power: 1 for distances, 2 for squared ones, as in ``gap``.
        count: Distances are events of 0 or 1.
        floor: Mean distance that arithmetic alone brings about.

    Returns:
        The ratio, at least 0, without unit; no ratio where a variant does not differ from the reference beyond the
        floor, no interval where one differs in fewer than ten samples.

    Raises:
        ValueError: If shapes disagree, a distance is not finite, or a count is not 0 or 1.

    >>> ratio = paired_ratio(np.full(20, 1.0), np.full(20, 4.0), Resamples.of(np.ones((5, 20))), power=2)
    >>> ratio.estimate, [round(end, 6) for end in ratio.interval[:2]]  # (1 / 4)^(1/2)
    (0.5, [0.5, 0.5])
    """
    tables = checked(first), checked(second)
    if tables[0].shape != tables[1].shape:
        raise ValueError(f"distances of shapes {tables[0].shape} and {tables[1].shape} are not paired")
    resamples = resamples.ahead(change_vectors(table, count=count) for table in tables)
    found = [change_and_draws(table, resamples, count=count) for table in tables]
    for name, ((delta, interval), _) in zip(("first", "second"), found, strict=True):
        if interval.low is None or interval.low <= floor or delta <= 0:
            reason = f"the {name} variant does not differ from the reference beyond the numerical floor {floor:.3g}"
            return Ratio(None, NO_INTERVAL, reason)
    estimate = exp((log(found[0][0].estimate) - log(found[1][0].estimate)) / power)
    few = min(int(np.count_nonzero(table)) for table in tables)
    if few < FEW:
        return Ratio(estimate, NO_INTERVAL, f"a variant differs in {few} samples; an interval needs {FEW}")
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = (np.log(found[0][1]) - np.log(found[1][1])) / power
    low, high, method = percentile_interval(draws, samples=tables[0].size)
    if low is None or high is None:
        return Ratio(estimate, NO_INTERVAL, "the ratio does not exist in more than 5 % of the resamples")
    return Ratio(estimate, Interval(exp(low), exp(high), method))

"""Paired tests of two measurements of the same samples: how much worse a figure became, interval and p-values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, exp, log
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.figure import recentred
from bench.stats.harm import Harm, harm, harm_of_proportions
from bench.stats.noninferiority import ALPHA
from bench.stats.quantiles import expanded_tail
from bench.stats.resampling import DRAWS, Float, Resamples, Weights
from bench.store.samples import Arrays, ValueSamples

MOST = 50  # times 10,000 draws
FINE = 8  # draws expected at or beyond the strictest threshold of Holm, where they decide
Statistic = Callable[[Arrays, Weights], Float]


class Figure(NamedTuple):
    """A statistic, and whether its draws are centred on its own figure."""

    function: Statistic
    recentre: bool = False


class Pairing(NamedTuple):
    """Two measurements of one value on the same samples."""

    before: ValueSamples
    after: ValueSamples
    n: int
    margin: float
    statistic: Figure | None = None  # of form ``statistic``
    scale: float | None = None  # what a gap divides the change by, before the root
    bounds: bool = False  # the difference is one of gaps


@dataclass(frozen=True)
class Shift:
    """A difference of which positive is worse, and the two p-values that gates need."""

    harm: Harm
    worse: float  # of 'at most the margin'
    better: float  # of 'at least 0'


def shifts(pairings: Sequence[Pairing], together: int) -> list[Shift]:
    """Every difference; what resampling decides at Holm's threshold gets as many draws as that takes.

    Proportions and counts: Tango's paired score. All others: shared resamples, 10,000 first; where a p-value is near
    what ``together`` judgements ask for, ``FINE`` x together / alpha draws, so that it can be below alpha / together.

    Args:
        pairings: Each value before and after.
        together: How many judgements are adjusted together.
    """
    out = [_first(pairing) for pairing in pairings]
    close = [i for i, item in enumerate(out) if _resampled(pairings[i]) and min(item.worse, item.better) <= 2 * ALPHA]
    if close:
        groups: dict[int, list[int]] = defaultdict(list)
        for index in close:
            groups[pairings[index].n].append(index)
        for n, members in groups.items():
            rounds = rounds_needed(together, n)
            if rounds == 1:
                continue
            for index, draws in zip(members, _more_draws([pairings[i] for i in members], n, rounds), strict=True):
                out[index] = _from_draws(pairings[index], draws)
    return out


def rounds_needed(together: int, n: int) -> int:
    """The number of rounds of 10,000 draws that let a p-value of n samples be below alpha / together, at most ``MOST``.

    A bootstrap tail is worth less with few samples (``contracted_tail``): below some fifty, many values judged together
    leave none that can be rejected, and they stay inconclusive.

    >>> rounds_needed(1, 900), rounds_needed(200, 900), rounds_needed(200, 30)
    (1, 7, 50)
    """
    return min(MOST, max(1, ceil(FINE / expanded_tail(ALPHA / together, n) / DRAWS)))


def _resampled(pairing: Pairing) -> bool:
    return pairing.after.form not in ("proportion", "count")


def _more_draws(pairings: Sequence[Pairing], n: int, rounds: int) -> list[tuple[Float, Float]]:
    """Both figures in ``rounds`` times the draws; one set of resamples at a time, shared by all in one pass."""
    parts: list[list[tuple[Float, Float]]] = [[] for _ in pairings]
    sides = [(pairing, side.variant) for pairing in pairings for side in (pairing.before, pairing.after)]
    vectors = [arrays["x"] for pairing, arrays in sides if pairing.statistic is None]
    statistics = [(pairing.statistic.function, arrays) for pairing, arrays in sides if pairing.statistic is not None]
    for seed in range(rounds):
        resamples = Resamples(n, DRAWS, seed).ahead(vectors, statistics)
        for drawn, pairing in zip(parts, pairings, strict=True):
            drawn.append(_figures(pairing, resamples))
    return [(np.concatenate([a for a, _ in drawn]), np.concatenate([b for _, b in drawn])) for drawn in parts]


def _first(pairing: Pairing) -> Shift:
    before, after = pairing.before.variant, pairing.after.variant
    if _resampled(pairing):
        return _from_draws(pairing, _figures(pairing, Resamples(pairing.n)))
    better: Literal["lower", "higher"] = "higher" if pairing.after.better == "higher" else "lower"
    measured = harm_of_proportions(before["x"], after["x"], better=better)
    factor = 1.0 if pairing.scale is None else 1 / pairing.scale
    if factor != 1.0 and measured.estimate is not None:
        low, high, method = measured.interval
        interval = type(measured.interval)(_times(low, factor), _times(high, factor), method)
        measured = Harm(measured.estimate * factor, interval, None, measured.p_value, "", measured.distribution)
    return _shift(measured, pairing.margin / factor)


def _times(limit: float | None, factor: float) -> float | None:
    return None if limit is None else limit * factor


def _figures(pairing: Pairing, resamples: Resamples) -> tuple[Float, Float]:
    """Both figures in each resample; changes on the gap's scale where they have one."""
    before, after = pairing.before.variant, pairing.after.variant
    if pairing.statistic is not None:
        function, recentre = pairing.statistic
        resamples = resamples.ahead((), [(function, before), (function, after)])
        first, second = (resamples.statistic(function, arrays) for arrays in (before, after))
        if recentre:
            once = np.ones((1, pairing.n))
            first, second = recentred(first, function(before, once)[0]), recentred(second, function(after, once)[0])
        return first, second
    first, second = resamples.means(np.stack([before["x"], after["x"]]))
    return _scaled(first, pairing), _scaled(second, pairing)


def _scaled(change: Any, pairing: Pairing) -> Any:
    if pairing.scale is None:
        return change
    return np.maximum(change / pairing.scale, 0.0) ** (1 / pairing.after.power)


def _from_draws(pairing: Pairing, draws: tuple[Float, Float]) -> Shift:
    once = Resamples.of(np.ones((1, pairing.n)))
    first, second = (float(figure[0]) for figure in _figures(pairing, once))
    better: Literal["lower", "higher"] = "higher" if pairing.after.better == "higher" else "lower"
    measured = harm(first, second, *draws, better=better, log=pairing.after.log, samples=pairing.n)
    return _shift(measured, pairing.margin)


def _shift(measured: Harm, margin: float) -> Shift:
    worse, at_least = measured.p_above(margin), measured.p_above(0.0)
    if worse is None or at_least is None:
        return Shift(measured, 1.0, 1.0)
    if measured.estimate == 0 and measured.interval.low == measured.interval.high == 0:
        return Shift(measured, 1.0, 1.0)  # not one sample differs
    return Shift(measured, worse, 1 - at_least)


def yardstick_scale(yardsticks: Sequence[float | None]) -> float | None:
    """Geometric mean of the yardsticks' changes; None unless all are positive.

    >>> yardstick_scale([1.0, 4.0]), yardstick_scale([1.0, 0.0]), yardstick_scale([])
    (2.0, None, None)
    """
    known = [value for value in yardsticks if value is not None and value > 0]
    if not known or len(known) < len(yardsticks):
        return None
    return exp(sum(map(log, known)) / len(known))


def rounds_ratio(samples: ValueSamples) -> NDArray[np.float64]:
    """Logarithm of variant over reference, round by round: what else the machine did slows both alike."""
    return np.log(samples.variant["x"]) - np.log(samples.reference["x"])

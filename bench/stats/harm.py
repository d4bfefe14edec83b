"""Harm: how much worse a network's own figure became, signed, in natural units; positive is worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import NO_INTERVAL, Interval
from bench.stats.percentile import far_tail_probability, percentile_interval, tail_probability
from bench.stats.proportions import PairedTable, paired_difference
from bench.stats.resampling import Float

Better = Literal["lower", "higher"]

NEEDED = 2  # yardsticks for a spread


@dataclass(frozen=True, eq=False)
class Resampled:
    """The bootstrap distribution of a harm.

    >>> Resampled(np.arange(1.0, 1000.0), None).p_above(0.0)  # 1 / (B + 1)
    0.001
    """

    draws: Float  # (B,)
    samples: int | None

    def p_above(self, threshold: float) -> float:
        """One-sided p-value that the true harm is at most the threshold."""
        return tail_probability(self.draws, threshold, self.samples)


@dataclass(frozen=True, eq=False)
class Harm:
    """A harm: how much worse a figure became, how sure that is, and how it compares with retraining.

    >>> Harm(0.2, Interval(None, None, "none"), None, None, "no interval").p_above(0.1) is None
    True
    """

    estimate: float | None  # None, with the reason, where a figure does not exist
    interval: Interval
    seed_ratio: float | None  # in units of the spread between two retrained networks
    p_value: float | None  # two-sided, of no harm at all
    reason: str = ""
    distribution: Resampled | PairedTable | None = None

    def p_above(self, tolerance: float) -> float | None:
        """One-sided p-value of 'the true harm is at most the tolerance': what gates tested together are judged by."""
        return None if self.distribution is None else self.distribution.p_above(tolerance)


def seed_ratio(harm: float, reference: float, yardsticks: Sequence[float]) -> float | None:
    """Harm over the spread between two equally good networks: H / (sqrt(2) S).

    S is the standard deviation of the figure over the reference and the yardsticks; the difference of two such
    networks has the standard deviation sqrt(2) S. None below two yardsticks or where S is 0.

    >>> round(seed_ratio(0.4, 1.0, [1.1, 0.9]), 4)  # S = 0.1
    2.8284
    """
    if len(yardsticks) < NEEDED:
        return None
    spread = float(np.std([reference, *yardsticks], ddof=1))
    return harm / (sqrt(2) * spread) if np.isfinite(spread) and spread > 0 else None


def _sign(better: Better | Literal["none"]) -> int:
    return 1 if better == "lower" else -1


def _defect(figures: Sequence[float], use_log: bool) -> str:
    """Why harm does not exist for these figures; empty where it does."""
    if not np.isfinite(figures).all():
        return "a figure is not finite"
    if use_log and min(figures) <= 0:
        return "a figure is not positive and its harm lives on the logarithm"
    return ""


def harm(
    reference: float,
    variant: float,
    reference_draws: NDArray[Any],
    variant_draws: NDArray[Any],
    *,
    better: Better,
    log: bool = False,
    yardsticks: Sequence[float] = (),
    samples: int | None = None,
) -> Harm:
    """Harm of a statistic: +-(M(g) - M(f0)), with the percentile interval of the paired difference.

    Draw b of both networks must come from one resample. ``log`` takes the difference of logarithms.

    Args:
        reference: The reference's figure.
        variant: The variant's figure.
        reference_draws: The reference's figure in each resample, (B,).
        variant_draws: The variant's figure in the same resamples, (B,).
        better: Whether lower or higher figures are good.
        log: Harm lives on the logarithm.
        yardsticks: The yardsticks' figures.
        samples: How many samples were resampled; widens the interval for few.

    Returns:
        Harm; without a number, with the reason, for figures that are not finite (or not positive on the log).

    Raises:
        ValueError: If the draws differ in shape.

    >>> measured = harm(0.9, 0.8, np.array([0.9, 0.8]), np.array([0.8, 0.7]), better="higher")
    >>> round(measured.estimate, 3), [round(limit, 3) for limit in measured.interval[:2]]
    (0.1, [0.1, 0.1])
    """
    first, second = np.asarray(reference_draws, dtype=np.float64), np.asarray(variant_draws, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"draws of shapes {first.shape} and {second.shape} are not paired")
    point = harm_without_interval(reference, variant, better=better, log=log, yardsticks=yardsticks)
    if point.estimate is None:
        return point
    draws = harms(first, second, better=better, log=log)
    interval = percentile_interval(draws, samples=samples)
    if interval.method == "none":
        reason = "the figure does not exist in more than 5 % of the resamples: no interval"
        return Harm(point.estimate, interval, point.seed_ratio, None, reason)
    distribution = Resampled(draws, samples)
    sides = (far_tail_probability(draws, 0.0, samples), far_tail_probability(-draws, 0.0, samples))
    p_value = 1.0 if not np.any(draws) else min(1.0, 2 * min(sides))
    return Harm(point.estimate, interval, point.seed_ratio, p_value, "", distribution)


def harms(
    first: NDArray[Any], second: NDArray[Any], *, better: Better | Literal["none"], log: bool = False
) -> NDArray[Any]:
    """How much worse each second figure is than the first, of draws or of samples; positive is worse.

    ``log`` takes the difference of logarithms, not finite where a figure is not positive.

    >>> harms(np.array([0.9, 0.8]), np.array([0.8, 0.9]), better="higher").round(3).tolist()
    [0.1, -0.1]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_sign(better) * (np.log(second) - np.log(first) if log else second - first))


def harm_without_interval(
    reference: float, variant: float, *, better: Better, log: bool = False, yardsticks: Sequence[float] = ()
) -> Harm:
    """Harm of a figure for which no interval is known to cover: maxima, plug-in calibration errors, single figures.

    >>> harm_without_interval(1.0, 2.0, better="lower").estimate
    1.0
    """
    if reason := _defect([reference, variant], log):
        return Harm(None, NO_INTERVAL, None, None, reason)
    figures = [reference, variant, *yardsticks]
    figures = _logarithms(figures) if log else figures
    estimate = _sign(better) * (figures[1] - figures[0]) + 0.0  # never -0
    return Harm(estimate, NO_INTERVAL, seed_ratio(estimate, figures[0], figures[2:]), None)


def _logarithms(figures: Sequence[float]) -> list[float]:
    return [log(figure) if figure > 0 else float("nan") for figure in figures]


def harm_of_proportions(
    reference: NDArray[Any], variant: NDArray[Any], *, better: Better, yardsticks: Sequence[float] = ()
) -> Harm:
    """Harm of a proportion: the paired difference with Tango's score interval and p-value.

    Args:
        reference: The reference's outcomes, 0 or 1, (n,).
        variant: The variant's outcomes on the same samples, (n,).
        better: Whether lower or higher proportions are good.
        yardsticks: The yardsticks' proportions.

    Raises:
        ValueError: If the outcomes are not paired, or not 0 or 1.

    >>> right, wrong = np.ones(100), np.r_[np.zeros(6), np.ones(94)]
    >>> measured = harm_of_proportions(right, wrong, better="higher")
    >>> round(measured.estimate, 3), [round(limit, 3) for limit in measured.interval[:2]]
    (0.06, [0.021, 0.125])
    """
    first, second = np.asarray(reference, dtype=np.float64), np.asarray(variant, dtype=np.float64)
    table = PairedTable.of(first, second) if better == "lower" else PairedTable.of(second, first)
    ratio = seed_ratio(table.difference, float(first.mean()), yardsticks)
    upward = table.p_above(0.0)
    p_value = min(1.0, 2 * min(upward, 1 - upward))
    return Harm(table.difference, paired_difference(table), ratio, p_value, "", table)

"""Tails: how different two networks are on the few samples where they differ most, which a mean over all hides."""

from __future__ import annotations

from math import ceil, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import Change, change_and_draws
from bench.stats.interval import LEVEL, NO_INTERVAL
from bench.stats.mean import checked
from bench.stats.resampling import Float, Resamples

SHARE = 0.05  # of the samples, those that differ most
NEEDED = 360  # samples for an interval: the worst 5 % are eighteen then


def tail_contributions(distances: NDArray[Any], share: float = SHARE) -> Float:
    """Contributions of each sample to the mean of the worst ``share`` of distances: their mean is that mean.

    h_i = v + max(d_i - v, 0) / share, with v the ceil(share n)-th largest distance (Rockafellar & Uryasev 2000, Journal
    of Risk 2(3):21). Since v is where mean(h) has its minimum, an error of v counts only in second order, and the
    standard error of mean(h) with v held fixed is that of the tail: change, scale and gap take h as distances, with the
    same power. Each yardstick has an h of its own.

    Args:
        distances: (n,), in any unit; no count, of which the worst are all 1.
        share: Part of the samples, above 0 and at most 1.

    Returns:
        (n,), in the distances' unit; where share n is no whole number, the v-th distance counts with what is left.

    Raises:
        ValueError: If there is no sample, a distance is not finite, or the share is outside its range.

    >>> tail_contributions(np.arange(1.0, 41.0))[[0, 38, 39]].tolist()  # v = 39: the worst two of forty
    [39.0, 39.0, 59.0]
    >>> float(tail_contributions(np.arange(1.0, 41.0)).mean())  # (39 + 40) / 2
    39.5
    """
    values = checked(distances)
    if not 0 < share <= 1:
        raise ValueError(f"a tail of {share} of the samples is none: it must be above 0 and at most 1")
    index = values.size - ceil(round(share * values.size, 9))
    v = float(np.partition(values, index)[index])
    return v + np.maximum(values - v, 0) / share


def is_tail(contributions: NDArray[Any], share: float = SHARE) -> bool:
    """Whether they are ``tail_contributions``: most of them are one and the same least number above 0.

    Where that number is 0 the tail holds every distance there is, and is their mean in another unit.

    >>> is_tail(tail_contributions(np.arange(1.0, 41.0))), is_tail(np.arange(1.0, 41.0)), is_tail(np.zeros(40))
    (True, False, False)
    """
    values = checked(contributions)
    least = float(values.min())
    return least > 0 and int(np.count_nonzero(values == least)) >= (1 - share) * values.size - 1e-6


def no_tail_interval(n: int) -> str:
    """Why the tail of n samples, and its gap (``Gap.as_point``), has no interval; empty where it has one.

    Of fewer than eighteen samples in the tail the resamples know too little: at n = 200 and 100 intervals cover down to
    91 and 86 %, and lie above the truth in up to 9 and 14 %.

    >>> no_tail_interval(360), no_tail_interval(200)
    ('', 'the worst 5% of 200 samples are 10: an interval needs 360 samples')
    """
    if n >= NEEDED:
        return ""
    return f"the worst {SHARE:.0%} of {n} samples are {ceil(round(SHARE * n, 9))}: an interval needs {NEEDED} samples"


def tail_change(
    distances: NDArray[Any], resamples: Resamples, *, level: float = LEVEL, largest: float = inf
) -> tuple[Change, Float]:
    """Mean of the worst 5 % of distances with its studentised interval, and its resamples (B,), v held fixed.

    Below 360 samples without limits: ``no_tail_interval`` says why.

    Args:
        distances: (n,), of a continuous change.
        resamples: Of n samples.
        level: Coverage wanted.
        largest: Largest distance that two networks can have.

    Raises:
        ValueError: If there is no sample or a distance is not finite.

    >>> (estimate, interval), _ = tail_change(np.arange(1.0, 41.0), Resamples(40, 9))
    >>> float(estimate), interval.method
    (39.5, 'none')
    """
    change, draws = change_and_draws(tail_contributions(distances), resamples, level=level, largest=largest)
    return (Change(change.estimate, NO_INTERVAL) if no_tail_interval(resamples.n) else change), draws

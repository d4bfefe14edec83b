"""Recipe scope of what few samples decide: replicates that agree tell nothing of samples that were not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import FEW
from bench.stats.interval import LEVEL, Interval
from bench.stats.proportions import PairedTable, clopper_pearson, paired_difference
from bench.stats.quantiles import normal_quantile, t_quantile, t_survival
from bench.stats.scope import NEEDED, Replicated


def rare_across_replicates(contributions: NDArray[Any], *, signed: bool, level: float = LEVEL) -> Replicated | None:
    """Mean over replicates of events that fewer than ten samples have in any of them; None for more.

    The events of one sample in several replicates go together, so that n samples are n trials however many replicates
    there are: with K samples that have one, of mean w over the replicates, and (L, U) the exact interval of K / n (of
    paired differences Tango's score interval), the limits are
    mean - hypot(K w / n - w L, t s / sqrt(R)) and mean + hypot(w U - K w / n, t s / sqrt(R)), each side joined as
    Zou & Donner join limits (2008, Statistics in Medicine 27:1693); s is the spread of the replicates.

    Args:
        contributions: 0 or 1 of each sample in each replicate, (R, n); -1, 0 or 1 where ``signed``.
        signed: They are harms, which cancel, and not changes.
        level: Coverage wanted.

    Raises:
        ValueError: A contribution is none of these.

    >>> mean, (low, high, _), _ = rare_across_replicates(np.zeros((5, 900)), signed=False)
    >>> mean, low, round(high, 4)  # as of one replicate: five cannot know more of the samples
    (0.0, 0.0, 0.0041)
    """
    table = np.asarray(contributions, dtype=np.float64)
    if not np.isin(table, (-1, 0, 1) if signed else (0, 1)).all():
        raise ValueError("a sample's contribution is no event")
    replicates, n = table.shape
    means = table.mean(axis=0)
    moved = means[np.abs(table).max(axis=0) > 0]
    if moved.size >= FEW or replicates < NEEDED:
        return None
    each = table.mean(axis=1)
    mean, spread = float(each.mean()), float(np.std(each, ddof=1)) / replicates**0.5
    size = float(np.abs(table).mean(axis=0).sum() / moved.size) if moved.size else 1.0
    if signed:
        counts = int((moved > 0).sum()), int((moved < 0).sum())
        low, high, _ = paired_difference(PairedTable(*counts, n), level)
        centre = (counts[0] - counts[1]) / n
    else:
        low, high, _ = clopper_pearson(moved.size, n, level)
        centre = moved.size / n
    assert low is not None
    assert high is not None
    beside = t_quantile((1 + level) / 2, replicates - 1) * spread
    below, above = hypot(size * (centre - low), beside), hypot(size * (high - centre), beside)
    toward = size * ((centre - low) if mean > 0 else (high - centre)) / normal_quantile((1 + level) / 2)
    error = hypot(toward, spread)
    p_value = 2 * t_survival(abs(mean) / error, replicates - 1) if error > 0 else float(mean == 0)
    return Replicated(mean, Interval(mean - below, mean + above, "t"), min(1.0, p_value))


def rare_on_own_samples(contributions: Sequence[NDArray[Any]], level: float = LEVEL) -> Replicated | None:
    """The same of changes that count other samples in each replicate: fewer than ten events in all, else None.

    Which samples they share is not asked: each side of the mean is as wide as the replicates' own exact intervals are
    on average, as if they erred all alike, joined with the spread of the replicates.

    Args:
        contributions: 0 or 1 of each sample that counts, (n_r,) of each of R replicates.
        level: Coverage wanted.

    >>> mean, (low, high, _), _ = rare_on_own_samples([np.zeros(900), np.zeros(800), *[np.zeros(850)] * 3])
    >>> mean, low, round(high, 4)
    (0.0, 0.0, 0.0043)
    """
    counts = [(int(np.count_nonzero(row)), row.size) for row in contributions]
    if sum(moved for moved, _ in counts) >= FEW or len(counts) < NEEDED:
        return None
    shares = np.array([moved / n for moved, n in counts])
    limits = [clopper_pearson(moved, n, level) for moved, n in counts]
    mean, spread = float(shares.mean()), float(np.std(shares, ddof=1)) / len(counts) ** 0.5
    beside = t_quantile((1 + level) / 2, len(counts) - 1) * spread
    below = hypot(mean - float(np.mean([low or 0.0 for low, _, _ in limits])), beside)
    above = hypot(float(np.mean([1.0 if high is None else high for _, high, _ in limits])) - mean, beside)
    return Replicated(mean, Interval(max(0.0, mean - below), mean + above, "t"))

"""How far a loss rises between networks above the straight interpolation of theirs, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.multiplicity import max_t_quantile
from bench.stats.resampling import Resamples


@dataclass(frozen=True)
class Barrier:
    """The largest rise, its interval over samples, and at which of the points it is."""

    estimate: float
    interval: Interval
    index: int


def barrier(losses: NDArray[Any], shares: NDArray[Any], ends: NDArray[Any], resamples: Resamples) -> Barrier:
    """``max_t [L(t) − Σ_e s_te L(e)]`` over the points looked at: mean losses less the interpolation of the ends'.

    Of a line or curve with ends a and b and parameter t the shares are ``(1 − t, t)`` (Frankle et al. 2020, arXiv
    1912.05671), of a simplex the weights of its vertices. Where the ends are among the points it is at least 0. Units
    of the losses.

    The largest of several noisy means lies above the largest mean, and resampling the maximum would add that bias once
    more. So the interval comes from limits that hold at all points at once: lower ones ``m_t − c se_t``, with c the
    quantile of ``max_t (m*_t − m_t) / se*_t`` over shared resamples, and upper ones alike; it reaches from the largest
    lower limit to the largest upper one, and covers at least ``LEVEL``. Points between those looked at are not covered.

    Args:
        losses: (points, n), one a sample.
        shares: (points, ends), how much of each end's loss is interpolated there.
        ends: (ends, n), the ends' own losses.
        resamples: Of n samples.

    Raises:
        ValueError: If shapes do not fit, or a loss is not finite.

    >>> four = Resamples.of(np.array([[1, 1], [2, 0]]))
    >>> found = barrier(np.array([[1.0, 1.0], [4.0, 4.0], [3.0, 3.0]]), np.array([[1, 0], [0.5, 0.5], [0, 1]]),
    ...     np.array([[1.0, 1.0], [3.0, 3.0]]), four)
    >>> found.estimate, found.interval[:2], found.index
    (2.0, (2.0, 2.0), 1)
    """
    table, share, own = (np.asarray(item, dtype=np.float64) for item in (losses, shares, ends))
    if table.ndim != 2 or own.ndim != 2 or share.shape != (len(table), len(own)) or table.shape[1] != own.shape[1]:
        raise ValueError(f"losses {table.shape}, shares {share.shape} and ends {own.shape} do not go together")
    if not (np.isfinite(table).all() and np.isfinite(own).all()):
        raise ValueError("a loss is not finite")
    rises = table - share @ own
    means = rises.mean(axis=1)
    best = int(means.argmax())
    centred = rises - means[:, None]
    scale = np.abs(centred).max(axis=1)
    moving = scale > 1e-12 * np.maximum(np.abs(means), 1e-300)
    low, high = means.copy(), means.copy()
    if moving.any():
        unit = centred[moving] / scale[moving, None]
        count = len(unit)
        drawn = resamples.means(np.concatenate([unit, unit**2]))
        shift, square = drawn[:count], drawn[count:]
        student = shift / np.sqrt(np.maximum(square - shift**2, 1e-12))
        error = scale[moving] * np.sqrt(np.mean(unit**2, axis=1))
        one_sided = (1 + LEVEL) / 2
        low[moving] -= max(0.0, max_t_quantile(student.T, one_sided)) * error
        high[moving] += max(0.0, max_t_quantile(-student.T, one_sided)) * error
    return Barrier(float(means[best]), Interval(float(low.max()), float(high.max()), "bootstrap"), best)

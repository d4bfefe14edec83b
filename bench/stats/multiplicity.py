"""Many questions at once: Holm for p-values, max-t for intervals."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import LEVEL, Interval
from bench.stats.resampling import DRAWS, Float


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold the chance of any false rejection, under whatever dependence.

    p_(i) becomes the running maximum of (m - i + 1) p_(i), at most 1 (Holm 1979, Scand. J. Statistics 6:65).
    Bootstrap p-values cannot be small enough for very many gates: see ``holm_capacity``.

    Raises:
        ValueError: If a p-value is outside [0, 1].

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.size and not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a p-value lies between 0 and 1")
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * values[order])) if values.size else []
    return [float(value) for value in adjusted]


def holm_capacity(draws: int = DRAWS, alpha: float = 0.05, sides: int = 1) -> int:
    """Largest number of gates among which Holm can still reject one by a bootstrap p-value.

    No p-value is below sides / (B + 1), and the first must be at most alpha / m: m <= alpha (B + 1) / sides. With more
    gates nothing is ever rejected, however large the harm; take more draws or a max-t interval.

    >>> holm_capacity(10_000), holm_capacity(10_000, sides=2), holm_capacity(999)
    (500, 250, 50)
    """
    return floor(alpha * (draws + 1) / sides + 1e-9)


def max_t_quantile(studentised: Float, level: float = LEVEL) -> float:
    """The number that the largest of m studentised deviations stays under with probability ``level``.

    Args:
        studentised: Joint draws of deviations over their standard errors, (B, m).
        level: Probability wanted.

    >>> max_t_quantile(np.array([[0.0, 1.0], [3.0, 2.0], [1.0, 0.0]]), 0.5)
    1.0
    """
    return float(np.quantile(studentised.max(axis=1), level))


def simultaneous_intervals(estimates: NDArray[Any], draws: NDArray[Any], level: float = LEVEL) -> list[Interval]:
    """Intervals that all hold at once: estimate +- c SE, c the max-t quantile of shared resamples.

    Args:
        estimates: (m,).
        draws: Each statistic in each shared resample, (m, B).
        level: Probability that every interval covers.

    >>> [round(v, 2) for v in simultaneous_intervals(np.zeros(1), np.array([[-1.0, 1.0, -1.0, 1.0]]))[0][:2]]
    [-1.0, 1.0]
    """
    values, table = np.asarray(estimates, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    if table.ndim != 2 or len(table) != values.size:
        raise ValueError(f"draws of shape {table.shape} for {values.size} estimates")
    errors = table.std(axis=1)
    moving = errors > 0
    if not moving.any():
        return [Interval(float(value), float(value), "bootstrap") for value in values]
    studentised = np.abs(table[moving] - values[moving, None]) / errors[moving, None]
    width = max_t_quantile(studentised.T, level) * errors
    return [Interval(float(v - w), float(v + w), "bootstrap") for v, w in zip(values, width, strict=True)]

"""Many questions at once: Holm for p-values, max-t for limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.stats.interval import LEVEL
from bench.stats.resampling import Float


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold the chance of any false rejection, under whatever dependence.

    p_(i) becomes the running maximum of (m - i + 1) p_(i), at most 1 (Holm 1979, Scand. J. Statistics 6:65).
    No bootstrap p-value is below 1 / (B + 1): among m gates none is rejected unless m <= alpha (B + 1).

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


def max_t_quantile(studentised: Float, level: float = LEVEL) -> float:
    """The number that the largest of m studentised deviations stays under with probability ``level``.

    Args:
        studentised: Joint draws of deviations over their standard errors, (B, m).
        level: Probability wanted.

    >>> max_t_quantile(np.array([[0.0, 1.0], [3.0, 2.0], [1.0, 0.0]]), 0.5)
    1.0
    """
    return float(np.quantile(studentised.max(axis=1), level))

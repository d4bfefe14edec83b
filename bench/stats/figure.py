"""A network's own figure and its interval over samples: what a least or a greatest value is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import change
from bench.stats.interval import LEVEL, Interval
from bench.stats.resampling import Float, Resamples


def mean_figure(
    values: NDArray[Any], resamples: Resamples, *, proportion: bool = False, level: float = LEVEL
) -> Interval:
    """Interval of a figure that is a mean over samples: exact for proportions, a studentised bootstrap else.

    It holds for the samples' source, not for these samples alone: no figure of another network is taken as exact.

    Args:
        values: (n,), contributions of each sample; 0 or 1 for a proportion.
        resamples: Of n samples.
        proportion: Clopper-Pearson.
        level: Coverage wanted.

    Raises:
        ValueError: If there is no sample, a value is not finite, or a proportion's is not 0 or 1.

    >>> once = Resamples.of(np.ones((1, 100)))
    >>> low, high, method = mean_figure(np.r_[np.ones(90), np.zeros(10)], once, proportion=True)
    >>> round(low, 3), round(high, 3), method
    (0.824, 0.951, 'exact')
    """
    return change(values, resamples, count=proportion, level=level).interval


def recentred(draws: NDArray[Any], figure: float) -> Float:
    """Draws moved so that their mean is the figure: d - mean(d) + M.

    For statistics whose resampled values are biased while the figure is not, as a debiased calibration error: a
    resample repeats samples, which looks like miscalibration. Draws that are not finite stay so and count for nothing.

    >>> recentred(np.array([1.0, 3.0]), 0.5).tolist()
    [-0.5, 1.5]
    """
    values = np.asarray(draws, dtype=np.float64)
    known = values[np.isfinite(values)]
    return values if known.size == 0 else values - float(known.mean()) + figure

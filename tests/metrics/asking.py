"""What a metric's values are of arrays at hand."""

import numpy as np

from bench.metrics.values import Statistic, names
from bench.stats.resampling import Resamples


def figure(value, arrays, weights=None):
    """The figure of a network under each row of weights; plain without any."""
    n = len(arrays[names(value.of)[0]])
    weights = np.ones((1, n)) if weights is None else weights
    return value.figure(arrays, weights) if isinstance(value, Statistic) else value.draws(arrays, Resamples.of(weights))


def distance(value, a, b):
    """Distances (n,) between two networks."""
    of = names(value.of)
    return value.distance(*(a[name] for name in of), *(b[name] for name in of))

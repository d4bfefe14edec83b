"""The worst class: a rate that is small on average may be large in one class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.change import FEW, events
from bench.stats.interval import LEVEL, NO_INTERVAL, Interval
from bench.stats.mean import checked
from bench.stats.proportions import clopper_pearson


class WorstClass(NamedTuple):
    """The largest rate over classes, its interval, whose it is, and of how many samples and classes."""

    estimate: float | None  # None, with the reason, where no class has samples enough
    interval: Interval
    label: int | None = None
    n: int = 0  # samples of that class
    classes: int = 0  # classes that were looked at
    reason: str = ""


def worst_class(outcomes: NDArray[Any], labels: NDArray[Any], level: float = LEVEL) -> WorstClass:
    """Largest rate of events over the classes with at least ten samples, [max low_c, max high_c].

    low_c and high_c are exact limits (Clopper-Pearson) at 1 - (1 - level) / m, so that those of all m classes hold
    together with probability ``level``, and with them the limits of their largest: it covers at least ``level``. The
    estimate itself is too high on average, since it is picked as the largest; the interval allows for that.

    Args:
        outcomes: 1 for an event (an error, a flip) and 0 for none, (n,).
        labels: The class of each sample, (n,).
        level: Coverage wanted.

    Returns:
        Of classes with the same rate the first; no estimate, with the reason, where no class has ten samples.

    Raises:
        ValueError: If the shapes differ or an outcome is neither 0 nor 1.

    >>> worst = worst_class(np.r_[np.zeros(40), np.ones(5), np.zeros(15)], np.repeat([0, 1, 2], [40, 10, 10]))
    >>> worst.estimate, worst.label, worst.n, [round(end, 3) for end in worst.interval[:2]]
    (0.5, 1, 10, [0.144, 0.856])
    """
    values, classes = checked(outcomes), np.asarray(labels)
    events(values)
    if classes.shape != values.shape:
        raise ValueError(f"{values.size} outcomes and labels of shape {classes.shape}: one label a sample is needed")
    names, indices = np.unique(classes, return_inverse=True)
    sizes, counts = np.bincount(indices), np.bincount(indices, weights=values).astype(int)
    kept = np.flatnonzero(sizes >= FEW)
    if kept.size == 0:
        reason = f"no class has {FEW} samples: the largest has {int(sizes.max())}"
        return WorstClass(None, NO_INTERVAL, reason=reason)
    each = 1 - (1 - level) / kept.size
    limits = [clopper_pearson(int(counts[c]), int(sizes[c]), each) for c in kept]
    worst = max(kept, key=lambda c: counts[c] / sizes[c])
    interval = Interval(max(limit.low or 0.0 for limit in limits), max(limit.high or 0.0 for limit in limits), "exact")
    return WorstClass(float(counts[worst] / sizes[worst]), interval, int(names[worst]), int(sizes[worst]), kept.size)

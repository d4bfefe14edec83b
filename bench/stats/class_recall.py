"""Recall of each class over many networks: which classes lose more than the whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import NO_INTERVAL, Interval
from bench.stats.multiplicity import holm
from bench.stats.paired_swaps import SLACK, sign_flip_p_values, swaps
from bench.stats.scope import across_replicates

EXACT = 2**14  # swaps: all of fourteen pairs


class ClassRecall(NamedTuple):
    """One class: its recall before and after, and how much more it lost than all samples together."""

    label: int
    n: int  # samples of the class
    reference: float  # mean recall over networks
    variant: float
    harm: float  # in proportion, positive is worse
    interval: Interval  # over networks, on these samples
    p_value: float
    p_adjusted: float  # Holm over all classes


def recall_harms(
    right_before: NDArray[np.bool_], right_after: NDArray[np.bool_], labels: NDArray[np.int64], *words: str | int
) -> list[ClassRecall]:
    """Of each class that has samples, the harm -(change of its recall - change of accuracy), tested over networks.

    d_i = (recall after - recall before) - (accuracy after - accuracy before) of pair i; harm = -mean(d). Its p-value is
    that of the sign-flip test of d over pairs: it asks whether the method harms this class more than the others,
    whichever network it is done to, on these very samples. The interval is t over five pairs or more; where all pairs
    lose alike there is none: their spread says nothing. (arXiv 1911.05248 tests by Welch's t.)

    Args:
        right_before: Whether each reference is right, (pairs, n).
        right_after: Whether the variant made of it is, in the same order, (pairs, n).
        labels: The classes of the samples, (n,).
        words: Key of the generator where swaps are drawn.

    Raises:
        ValueError: If the shapes do not fit.

    >>> before, after = np.ones((6, 4), bool), np.ones((6, 4), bool)
    >>> after[:, 0] = False  # one of the two samples of class 0
    >>> first, second = recall_harms(before, after, np.array([0, 0, 1, 1]))
    >>> first.harm, second.harm, first.p_value, first.p_adjusted  # -(-0.5 + 0.25); 2 / 2^6
    (0.25, -0.25, 0.03125, 0.0625)
    """
    if right_before.shape != right_after.shape or right_before.ndim != 2 or labels.shape != right_before.shape[1:]:
        shapes = f"{right_before.shape}, {right_after.shape} and {labels.shape}"
        raise ValueError(f"outcomes and labels of shapes {shapes}: (pairs, samples) twice and (samples,) are needed")
    names = np.unique(labels)
    members = (labels[:, None] == names).astype(np.float64)
    sizes = members.sum(axis=0)
    before, after = (right.astype(np.float64) @ members / sizes for right in (right_before, right_after))
    whole = right_after.mean(axis=1) - right_before.mean(axis=1)
    lost = whole[:, None] - (after - before)
    p_values = sign_flip_p_values(lost, swaps(len(lost), EXACT, *words))
    adjusted = holm([float(p) for p in p_values])
    return [
        ClassRecall(
            int(name), int(sizes[c]), float(before[:, c].mean()), float(after[:, c].mean()), float(lost[:, c].mean()),
            _over_pairs(lost[:, c]), float(p_values[c]), adjusted[c],
        )
        for c, name in enumerate(names)
    ]  # fmt: skip


def _over_pairs(lost: NDArray[np.float64]) -> Interval:
    if np.ptp(lost) <= SLACK:
        return NO_INTERVAL
    return across_replicates(lost, standard_error=0.0).interval.within(-2.0, 2.0)

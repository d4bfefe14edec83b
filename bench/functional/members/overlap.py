"""How many channels the members of a network share."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable

Float = NDArray[np.float64]


def pairwise_overlap(masks: NDArray[Any]) -> Float:
    """Shared channels over channels of either, of each pair: masks (members, channels) of bool to (pairs,), 0 to 1.

    ``|a ∩ b| / |a ∪ b|`` (intersection over union), pairs in the order (0, 1), (0, 2), ..., (1, 2), ...

    Raises:
        NotApplicable: there is one member.
        ValueError: If the masks are not of bool, or a member has no channel.

    >>> pairwise_overlap(np.array([[True, True, False], [False, True, True]])).round(6).tolist()  # 1 of 3
    [0.333333]
    """
    table = np.asarray(masks)
    if table.ndim != 2 or table.dtype != np.bool_ or not table.any(axis=1).all():
        raise ValueError(f"masks {table.dtype} {table.shape}: bool (members, channels) are needed, no member empty")
    if len(table) < 2:
        raise NotApplicable("a network of one member has no pair that could share channels")
    pairs = list(combinations(range(len(table)), 2))
    return np.array([(table[i] & table[j]).sum() / (table[i] | table[j]).sum() for i, j in pairs])


def mean_overlap(masks: NDArray[Any]) -> float:
    """Mean of ``pairwise_overlap`` over all pairs, from 0 (disjoint members) to 1 (equal members).

    >>> mean_overlap(np.array([[True, False], [False, True], [True, True]])).__round__(6)  # 0, 1/2 and 1/2
    0.333333
    """
    return float(pairwise_overlap(masks).mean())

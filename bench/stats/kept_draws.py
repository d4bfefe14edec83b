"""Resampled figures that are kept for whoever asks for them again: the values of a stage are often those of a cell."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.least_recently_used import LeastRecentlyUsed

Float: TypeAlias = NDArray[np.float64]

LIMIT: Final = 2**27  # bytes: some 1,600 figures of 10,000 draws


class KeptDraws:
    """Read-only draws (B,) by key, the latest used first; the oldest go where they take more than so many bytes.

    >>> kept = KeptDraws(limit=32)
    >>> for name in ("a", "b", "c", "d", "e"):
    ...     kept.put(name, np.zeros(1))
    >>> kept.get("a") is None, kept.get("e").tolist()
    (True, [0.0])
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._draws = LeastRecentlyUsed[Float](limit, lambda draws: draws.nbytes)

    def get(self, key: Hashable) -> Float | None:
        """The draws of that key, else None."""
        return self._draws.get(key)

    def put(self, key: Hashable, draws: Float) -> None:
        """Keep a copy, unless it would take the place of most others."""
        if draws.nbytes > self._draws.limit // 4:
            return
        own = draws.copy()
        own.flags.writeable = False
        self._draws.put(key, own)

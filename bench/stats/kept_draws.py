"""Resampled figures that are kept for whoever asks for them again: the values of a stage are often those of a cell."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
        self.limit = limit
        self._draws: OrderedDict[Hashable, Float] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Float | None:
        """The draws of that key, else None."""
        with self._lock:
            if key in self._draws:
                self._draws.move_to_end(key)
            return self._draws.get(key)

    def put(self, key: Hashable, draws: Float) -> None:
        """Keep a copy."""
        if draws.nbytes > self.limit // 4:
            return
        own = draws.copy()
        own.flags.writeable = False
        with self._lock:
            replaced = self._draws.pop(key, None)
            self._draws[key] = own
            self._size += own.nbytes - (0 if replaced is None else replaced.nbytes)
            while self._size > self.limit:
                self._size -= self._draws.popitem(last=False)[1].nbytes

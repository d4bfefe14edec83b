"""Values that are kept for whoever asks for them again; the oldest go where they take too much memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class LeastRecentlyUsed(Generic[V]):
    """Values by key up to a total size, the latest used first; the latest of all is kept whatever its size.

    Args:
        limit: of the sizes together.
        size: of a value.

    >>> kept = LeastRecentlyUsed[str](4, len)
    >>> for word in ("ab", "cd", "ef"):
    ...     kept.put(word, word)
    >>> kept.get("ab") is None, kept.get("cd")
    (True, 'cd')
    """

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self.limit = limit
        self._size_of = size
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """The value of that key, else None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value, in the place of any other of that key."""
        with self._lock:
            if key in self._values:
                self._size -= self._size_of(self._values.pop(key))
            self._values[key] = value
            self._size += self._size_of(value)
            while self._size > self.limit and len(self._values) > 1:
                self._size -= self._size_of(self._values.popitem(last=False)[1])

"""Keys: the sha256 of canonical JSON of everything that can change a value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; a value JSON cannot hold raises ``TypeError``, NaN ``ValueError``.

    >>> canonical_json({"b": 1, "a": (True, None)})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def key_of(parts: Any) -> str:
    """The content address of ``parts``.

    >>> key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


class Keyed:
    """Something planned, whose ``parts`` hold all that can change its result."""

    parts: dict[str, Any]

    @cached_property
    def key(self) -> str:
        """The sha256 of ``parts``: the address in the store."""
        return key_of(self.parts)


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each difference of two canonical values, as (path, old, new).

    >>> list(differences({"metric": {"epsilon": 0.1}, "n": 3}, {"metric": {"epsilon": 0.2}, "n": 3}))
    [('metric.epsilon', 0.1, 0.2)]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from differences(left, right, f"{path}[{index}]")
    elif old != new:
        yield path, old, new

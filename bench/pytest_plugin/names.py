"""Names of items: unique, and free of whatever ``-k`` and node ids cannot take."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from bench.cell_id import CellId

LONGEST = 60  # characters of one parameter's value


def safe(text: object) -> str:
    r"""Letters, digits, points, underscores and hyphens; everything else becomes a hyphen.

    >>> safe("a/b c[1]::d\n\x1bé")
    'a-b-c-1-d'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", str(text)).strip("-")


def _value(value: Any) -> str:
    parts = value if isinstance(value, list | tuple) else [value]
    text = "-".join(("minus" if str(part).startswith("-") else "") + safe(part) for part in parts)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def cell_name(cell: CellId) -> str:
    """Variant, target, metric, the parameters that are not at their defaults, and from the second on the replicate."""
    words = [cell.variant, cell.target, cell.metric]
    name = "-".join([*map(safe, words), *(f"{safe(key)}{_value(value)}" for key, value in cell.given.items())])
    return f"{name}-replicate{cell.replicate}" if cell.replicate else name


def unique(names: Iterable[str]) -> list[str]:
    """Equal names are numbered from the second on.

    >>> unique(["a", "a", "a-2", "a"])
    ['a', 'a-2', 'a-2-2', 'a-3']
    """
    taken: set[str] = set()
    numbered = []
    for name in names:
        candidate, count = name, 1
        while candidate in taken:
            count += 1
            candidate = f"{name}-{count}"
        taken.add(candidate)
        numbered.append(candidate)
    return numbered

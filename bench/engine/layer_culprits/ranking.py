"""Which layer is most guilty: the rule, on rows of figures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RULE = (
    "first layers that make NaN or infinite values out of finite ones, in their order; then layers whose restoring "
    "removes a hundredth of the divergence or more, with an interval above 0, and more than rounding does, by how "
    "much; then all others by the error they add themselves; last those that cannot be compared"
)
SMALLEST = 0.01  # share of the divergence below which what restoring removes counts as nothing


def ranking(rows: Sequence[Mapping[str, Any]], rounding: float = 0.0) -> list[str]:
    """Names of layers, most guilty first.

    1. Layers whose outputs are not finite although what they read is: in the order of the graph.
    2. Layers whose restoring removes Jensen-Shannon divergence, at least a hundredth of it and with an interval wholly
       above 0, and more than ``rounding``, which float arithmetic alone brings about: largest first.
    3. All others by the relative error that they add on the variant's own inputs, largest first: what restoring them
       removes ties at nothing. So it is where faults mask each other, since with one of them restored the other stays.
    4. What cannot be compared, in the order of the graph.

    >>> row = lambda name, low, removed, added: {
    ...     "name": name, "not_finite": None, "added": {"relative_mse": added},
    ...     "restored": {"js": {"before": 1.0, "removed": removed, "ci": [low, removed]}}}
    >>> ranking([row("a", -0.1, 0.0, 0.5), row("b", 0.1, 0.2, 0.01), row("c", -0.1, 0.3, 0.7)])
    ['b', 'c', 'a']
    """
    numbered = sorted(enumerate(rows), key=lambda item: (*_key(item[1], rounding), item[0]))
    return [str(row["name"]) for _, row in numbered]


def culprits(rows: Sequence[Mapping[str, Any]], rounding: float = 0.0) -> list[str]:
    """Names of the layers of the first two kinds, most guilty first: those that are shown to do damage by themselves.

    >>> tiny = {"before": 1e-14, "removed": 1e-14, "ci": [1e-15, 1e-13]}
    >>> row = {"name": "a", "not_finite": None, "restored": {"js": tiny}}
    >>> culprits([row]), culprits([row], rounding=1e-12)
    (['a'], [])
    """
    guilty = {str(row["name"]) for row in rows if _key(row, rounding)[0] < 2}
    return [name for name in ranking(rows, rounding) if name in guilty]


def _key(row: Mapping[str, Any], rounding: float) -> tuple[int, float]:
    if row.get("not_finite") and row["not_finite"]["own"]:
        return 0, 0.0
    js = (row.get("restored") or {}).get("js")
    if js and js["ci"][0] > 0 and js["removed"] >= SMALLEST * js["before"] and js["removed"] > rounding:
        return 1, -float(js["removed"])
    added = row.get("added")
    if added:
        # an error beside a reference of zero has no finite ratio and is the largest
        return 2, -float("inf") if added["relative_mse"] is None else -float(added["relative_mse"])
    return 3, 0.0

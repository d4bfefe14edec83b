"""The rank intervals of a run, by value and by row."""

from __future__ import annotations

from typing import NamedTuple

from bench.cell_id import canonical_parameters
from bench.results import Results


class RankKey(NamedTuple):
    """One value of one metric in one replicate."""

    metric: str
    params: str  # canonical JSON of all parameters
    value: str
    replicate: int | None


class Rank(NamedTuple):
    """The places that one row may truly hold among ``of``; without places the reason."""

    low: int | None
    high: int | None
    of: int
    target: str | None = None  # the one that it is ranked on alone; None: all targets together
    reason: str = ""


def ranks_of(results: Results) -> dict[RankKey, dict[tuple[str, str], Rank]]:
    """Every row's places by each value that is ranked, under (variant, target); those left out with the reason.

    A value of which nothing is ranked has no row, or reasons alone. Results of before there were ranks have none.
    """
    found: dict[RankKey, dict[tuple[str, str], Rank]] = {}
    for item in results.ranks:
        rows = found.setdefault(RankKey(item.metric, canonical_parameters(item.params), item.value, item.replicate), {})
        for entry in item.entries:
            rows[entry.variant, entry.target] = Rank(entry.low, entry.high, item.of, item.target)
        for left in item.left_out:
            rows[left.variant, left.target] = Rank(None, None, item.of, item.target, left.reason)
    return found

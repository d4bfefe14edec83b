"""Every two variants beside each other by a family's headline harm, on the same samples."""

from __future__ import annotations

from collections.abc import Sequence

from bench.engine.rank_evidence import Contributions, Ranked, floor_of, method_of, table_of
from bench.families import is_family_harm
from bench.metrics.values import Change
from bench.results import Cell, HarmDifference
from bench.stats.interval import Interval
from bench.stats.paired_differences import count_difference, drawn_difference
from bench.stats.resampling import Resamples


def is_headline_harm(cell: Cell, value: Ranked) -> bool:
    """Whether a value is what its family shows first of a harm."""
    return not isinstance(value, Change) and is_family_harm(cell.family, cell.metric, value.name)


def harm_differences(value: Ranked, ranked: Sequence[tuple[Cell, Contributions]], draws: int) -> list[HarmDifference]:
    """The differences of all pairs on each target: of a proportion by counts, else in the shared resamples.

    Args:
        value: the harm.
        ranked: cells of the same samples, and what each is ranked by.
        draws: how many resamples tell of a mean.
    """
    table, method = table_of([contributions for _, contributions in ranked]), method_of(value)
    if method == "means":
        table = Resamples(table.shape[1], draws).means(table)
    harms = [cell.values[value.name] for cell, _ in ranked]
    found = []
    for later in range(len(ranked)):
        for earlier in range(later):
            first, second = ranked[later][0], ranked[earlier][0]
            one, other = harms[later].estimate, harms[earlier].estimate
            if first.target != second.target or one is None or other is None:
                continue
            if method == "counts":
                interval = count_difference(table[later], table[earlier])
            else:
                interval = drawn_difference(table[later], table[earlier], harms[later].n or 0)
            found.append(
                HarmDifference(
                    first=first.variant,
                    second=second.variant,
                    target=first.target,
                    difference=one - other,
                    ci=_ends(interval),
                    numerical_floor=floor_of(value, harms[later]) + floor_of(value, harms[earlier]),
                )
            )
    return found


def _ends(interval: Interval) -> tuple[float, float] | None:
    low, high, _ = interval
    return None if low is None or high is None else (low, high)

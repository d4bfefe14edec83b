"""Which of two changes is larger, and whether that is known: numbers and enums."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum

from bench.cell_id import canonical_parameters
from bench.families import in_order
from bench.results import RatioFigures, Results, ValueReference, VariantRatio


class Order(StrEnum):
    """Where the first of two stands beside the second."""

    FURTHER = "further"
    NEARER = "nearer"
    OPEN = "open"  # the interval covers 1, or leaves it by no more than arithmetic can
    UNKNOWN = "unknown"  # no interval


@dataclass(frozen=True)
class RatioEntry:
    """One variant beside the next nearer one; numbers are None where there are none."""

    first: str
    second: str
    order: Order
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    neighbours: bool = True  # no variant lies between both


@dataclass(frozen=True)
class RatioGroup:
    """All neighbours by one change on one target, the nearest first."""

    family: str
    target: str
    replicate: int | None
    several: bool  # there are several replicates
    value: ValueReference
    headline: bool  # the value stands for its family
    entries: tuple[RatioEntry, ...]


def order_of(figures: RatioFigures) -> Order:
    """Which side of 1 the interval lies on.

    >>> order_of(RatioFigures(value="js", ratio=2.0, ci=(1.5, 2.6), told_apart=True))
    <Order.FURTHER: 'further'>
    >>> order_of(RatioFigures(value="js", ratio=1.1, ci=(0.9, 1.3), told_apart=False))
    <Order.OPEN: 'open'>
    """
    if figures.ci is None:
        return Order.UNKNOWN
    if not figures.told_apart:
        return Order.OPEN
    low = figures.ci[0]
    return Order.FURTHER if low is not None and low > 1 else Order.NEARER


def ratio_entry(first: str, second: str, figures: RatioFigures) -> RatioEntry:
    """The figures of two changes, named."""
    low, high = figures.ci or (None, None)
    return RatioEntry(first, second, order_of(figures), figures.ratio, low, high, figures.reason)


def ratio_groups(results: Results, *, every: bool = False) -> tuple[RatioGroup, ...]:
    """Each variant beside the next nearer one, by family, target and replicate; headlines of families first.

    ``every``: beside each other one that the results hold.
    """
    ratios: dict[tuple[str, str, str, str, int | None], list[VariantRatio]] = defaultdict(list)
    for item in results.variant_ratios:
        if item.next_nearer or every:
            key = item.family, item.metric, canonical_parameters(item.params), item.target, item.replicate
            ratios[key].append(item)
    headlines = [family.headline for variant in results.variants for family in variant.families.values()]
    replicated = {(item.target, item.metric) for item in results.variant_ratios if item.replicate != 0}
    groups = []
    for (family, metric, _, target, replicate), items in ratios.items():
        value = ValueReference(metric=metric, params=items[0].params, value=items[0].value)
        entries = tuple(
            replace(ratio_entry(item.first, item.second, item), neighbours=item.next_nearer) for item in items
        )
        several = (target, metric) in replicated
        groups.append(RatioGroup(family, target, replicate, several, value, value in headlines, entries))
    positions = {name: position for position, name in enumerate(in_order({group.family for group in groups}))}
    return tuple(sorted(groups, key=lambda group: (not group.headline, positions[group.family])))

"""Columns of deep-ensemble equivalents: what a network is worth, also a megabyte and a million multiply-accumulates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from bench.report.board.model import BoardColumn, BoardRow, BoardRun, Entry, Side, Status
from bench.results import EquivalentFigures, EquivalentsResult, ValueResult
from bench.results.equivalents import Censored

METRIC: Final = "equivalent"
SIDES: Final[dict[Censored, Side]] = {"": Side.NONE, "below": Side.BELOW, "above": Side.ABOVE}
MILLION: Final = 1e6
UNKNOWN_COST: Final = "what it costs is not known"


class _Kind(NamedTuple):
    """One column of a section: its unit, and the cost that the figure is divided by."""

    heading: str
    unit: str
    cost: Callable[[EquivalentFigures], float | None]
    derived: str


KINDS: Final = {
    "networks": _Kind("worth in networks", "", lambda item: MILLION, ""),
    "per_megabyte": _Kind(
        "networks per MB", "1/MB", lambda item: item.file_bytes, "networks over the file's megabytes"
    ),
    "per_megamac": _Kind(
        "networks per MMAC", "1/MMAC", lambda item: item.macs, "networks over a million multiply-accumulates"
    ),
}
EFFORT: Final = {"cpu_seconds": ("s", "CPU seconds to make"), "epochs": ("", "epochs to make")}  # unit, heading


def worth_columns(runs: Sequence[BoardRun]) -> Iterator[BoardColumn]:
    """Three columns for each section of equivalents that any run has, and what making it took."""
    names = list(dict.fromkeys(section.name for run in runs for section in run.results.equivalents))
    for name in names:
        apart = (("pool", name),) if len(names) > 1 else ()
        for value, kind in KINDS.items():
            like = ValueResult(kind="quality", unit=kind.unit, better="higher")
            read = partial(_worth, section=name, kind=kind)
            yield BoardColumn(
                METRIC, "{}", value, "uncertainty", like, read, apart=apart, heading=kind.heading, derived=kind.derived
            )
        for value, (unit, heading) in EFFORT.items():
            like = ValueResult(kind="cost", unit=unit, better="lower")
            read = partial(_effort, section=name, of=value)
            yield BoardColumn(METRIC, "{}", value, "cost", like, read, apart=apart, heading=heading)


def _figures(row: BoardRow, section: str) -> tuple[EquivalentsResult | None, EquivalentFigures | None]:
    """The section of a row's run, and what it says of the row's network."""
    for found in row.run.results.equivalents:
        if found.name == section:
            for item in found.networks:
                wanted = ("reference", "reference") if row.variant is None else ("variant", row.variant)
                place = (item.role, item.name, item.target, item.replicate)
                if place == (*wanted, row.target, row.replicate or 0) and not (row.several and row.replicate is None):
                    return found, item
            return found, None
    return None, None


def _without(found: EquivalentsResult | None, item: EquivalentFigures | None) -> Entry:
    """The entry of a network without a figure, with the reason."""
    told = found if item is None or item.status == "ok" else item
    if told is None or told.status == "ok":
        return Entry(Status.ABSENT)
    return Entry(Status.ERROR if told.status == "error" else Status.SKIPPED, reason=told.reason)


def _worth(row: BoardRow, section: str, kind: _Kind) -> Entry:
    found, item = _figures(row, section)
    if found is None or item is None or item.equivalent is None or item.ci is None:
        return _without(found, item)
    cost = kind.cost(item)
    if not cost:
        return Entry(Status.NULL, n=found.samples, reason=UNKNOWN_COST)
    number, low, high = (end * MILLION / cost for end in (item.equivalent, *item.ci))
    sides = tuple(SIDES[end] for end in item.ci_censored)
    status = Status.LIMIT if item.censored else Status.NUMBER
    return Entry(
        status, number, low, high, SIDES[item.censored], low_side=sides[0], high_side=sides[1], n=found.samples
    )


def _effort(row: BoardRow, section: str, of: str) -> Entry:
    found, item = _figures(row, section)
    if found is None or item is None:
        return _without(found, item)
    spent: float | None = getattr(item, of)
    if spent is None:
        return Entry(Status.NULL, reason="its weights were kept, or nobody measured it")
    return Entry(Status.NUMBER, spent)

"""Columns made of two figures of one cell: the share of the reference's figure that a variant keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bench.report.board.cells import cell_columns, cells_of, variant_entry
from bench.report.board.model import BoardColumn, BoardRow, BoardRun, Entry, Status
from bench.results import ValueResult

KEPT: Final = (("uncertainty.members", "disagreement"),)
NO_INTERVAL: Final = "no interval: variant over reference, of two figures in results.json"
NOTHING_TO_KEEP: Final = "the reference's own figure is 0: nothing to keep"
SHARE: Final = ValueResult(kind="quality", unit="proportion")


def kept_columns(runs: Sequence[BoardRun]) -> Iterator[BoardColumn]:
    """Variant / reference for each value in ``KEPT``; 1 keeps all of it."""
    for of in cell_columns(runs):
        if (of.metric, of.value) in KEPT:
            yield BoardColumn(
                metric=of.metric,
                parameters=of.parameters,
                value=f"{of.value}.kept",
                family=of.family,
                like=SHARE,
                read=_reader(of),
                apart=of.apart,
                note="variant / reference",
                derived=f"variant / reference of {of.name}",
            )


def _reader(of: BoardColumn) -> Callable[[BoardRow], Entry]:
    def read(row: BoardRow) -> Entry:
        cells = cells_of(row, of.metric, of.parameters)
        if row.variant is None or not cells:
            return Entry(Status.ITSELF) if cells else of.read(row)
        return share_kept(variant_entry(of.value, cells[0]))

    return read


def share_kept(own: Entry) -> Entry:
    """The share that an entry's value keeps of its reference's; without a number as the entry itself.

    >>> value = ValueResult(kind="quality", reference=0.04, variant=0.03)
    >>> round(share_kept(Entry(Status.NUMBER, 0.03, value=value)).number, 12)
    0.75
    """
    if own.number is None or own.value is None:
        return own
    if own.value.reference is None:
        return Entry(Status.NULL, n=own.n, reason=own.reason)
    if own.value.reference == 0:
        return Entry(Status.NULL, n=own.n, reason=NOTHING_TO_KEEP)
    return Entry(Status.NUMBER, own.number / own.value.reference, n=own.n, reason=NO_INTERVAL)

"""What stands for each family at first sight: one harm, one change on the yardsticks' scale, and its alarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.families import FAMILIES, in_order
from bench.report.board.model import BoardColumn
from bench.report.board_text import gap_text
from bench.report.interactive.networks import NetworkRow
from bench.report.leaderboard import GapEntry
from bench.report.strip import strip_words
from bench.wording import NOTHING, plain

GAP: Final = (
    "gap",
    "gap_interval",
    "gap_mark",
    "gap_number",
    "gap_low",
    "gap_high",
    "alarm",
    "alarm_words",
    "band",
    "words",
)


def headlines(
    columns: Sequence[BoardColumn], rows: Sequence[NetworkRow], values: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A column for each family that has a harm or a gap: arrays over rows, and which values they were read from.

    Args:
        columns: of the board.
        rows: of the page.
        values: the page's columns of values, in the order of ``columns``.
    """
    names = {column.family for column in columns} | {gap.family for row in rows for gap in _gaps(row)}
    told = []
    for name in in_order(names):
        if name in FAMILIES and not FAMILIES[name].gaps:
            continue
        harm = _harm(name, columns, values)
        change = _change(name, columns, rows)
        gaps = [_gap(name, row) for row in rows]
        if harm is None and change is None and all(gap is None for gap in gaps):
            continue
        scaled = any(gap is not None and gap["gap"] != NOTHING for gap in gaps)  # else the change in its own unit
        held = {key: [None if gap is None else gap[key] for gap in gaps] for key in GAP} if scaled else {}
        told.append(
            {
                "family": plain(name),
                "title": FAMILIES[name].title if name in FAMILIES else "",
                "harm": harm,
                "change": change,
                "harm_title": "" if harm is None else values[harm]["title"],
                "change_title": "" if change is None else values[change]["title"],
                **{key: items for key, items in held.items() if any(item not in (None, "") for item in items)},
                "at_one": next((row.yardstick.at_one for row in rows if row.judged is not None), ""),
                "reason": ["" if gap is None else gap["reason"] for gap in gaps],
            }
        )
    return told


def _gaps(row: NetworkRow) -> tuple[GapEntry, ...]:
    return () if row.judged is None else row.judged.gaps


def _harm(family: str, columns: Sequence[BoardColumn], values: Sequence[dict[str, Any]]) -> int | None:
    """The place of the value that is the family's harm: a named one, else a gated one, else one with an interval."""
    mine = [
        place
        for place, column in enumerate(columns)
        if column.family == family
        and column.like.kind in ("quality", "pair")
        and not column.derived
        and "harm" in values[place]
    ]
    for name in FAMILIES[family].harms if family in FAMILIES else ():
        for place in mine:
            if f"{columns[place].metric}.{columns[place].value}" == name:
                return place
    gated = [place for place in mine if values[place]["gated"]]
    sure = [place for place in mine if any(values[place].get("harm_interval", ()))]
    return next(iter((*gated, *sure)), None)


def _change(family: str, columns: Sequence[BoardColumn], rows: Sequence[NetworkRow]) -> int | None:
    """The place of the family's headline change, as the runs name it."""
    from bench.cell_id import canonical_parameters

    for row in rows:
        for gap in _gaps(row):
            if gap.family == family and gap.headline is not None:
                wanted = gap.headline.metric, canonical_parameters(gap.headline.params), gap.headline.value
                for place, column in enumerate(columns):
                    if (column.metric, column.parameters, column.value) == wanted and not column.derived:
                        return place
    return None


def _gap(family: str, row: NetworkRow) -> dict[str, Any] | None:
    entry = next((gap for gap in _gaps(row) if gap.family == family), None)
    if entry is None or not entry.measured:
        return None
    text = gap_text(entry)
    return {
        "gap": text.figure.value,
        "gap_interval": text.figure.interval,
        "gap_mark": text.figure.mark.value,
        "gap_number": text.figure.sort,
        "gap_low": entry.low,
        "gap_high": entry.high,
        "alarm": entry.alarm,
        "alarm_words": text.alarm_words,
        "band": entry.band,
        "words": strip_words(text, row.yardstick),
        "reason": text.figure.reason if entry.unknown else "",
    }

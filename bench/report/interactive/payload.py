"""Everything that a page's scripts read: its groups of runs, each with rows, columns, families and small print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.report.board.columns import all_columns, chosen
from bench.report.board.model import Board, BoardColumn, Group
from bench.report.board.text import place_text
from bench.report.figures import SIGNS, meanings
from bench.report.interactive.explanations import explanation
from bench.report.interactive.headlines import headlines
from bench.report.interactive.networks import Judged, NetworkRow, network_row
from bench.report.interactive.pairs import pairs
from bench.report.interactive.pareto import COSTS
from bench.report.interactive.places import places as held
from bench.report.interactive.small_print import Place, small_print
from bench.report.interactive.values import value_column
from bench.report.interactive.words import WORDS
from bench.report.leaderboard.ranks import ranks_of
from bench.report.yardsticks import YARDSTICKS, YardstickWords
from bench.results import RunsBeside
from bench.wording import plain

SCHEMA: Final = 1
OF_ROWS: Final = (
    "key", "run", "name", "label", "place", "target", "state", "sign", "verdict", "because", "reason", "steps", "uses",
    "control", "unreliable", "cautions",
)  # fmt: skip
INLINE: Final = "data:image/png;base64,"


def inline(picture: str) -> str:
    """A picture within the page."""
    return INLINE + picture


def payload(
    board: Board,
    place: Place = inline,
    values: Sequence[str] = (),
    yardstick: YardstickWords = YARDSTICKS["none"],
    beside: Sequence[RunsBeside] = (),
) -> dict[str, Any]:
    """All groups of a board, columnar.

    Args:
        board: with all its columns.
        place: from a picture in base64 to what names it.
        values: names of the columns that stand in the table of own values at first; by default the usual ones.
        yardstick: what the marks are told by.
        beside: what is known of two runs in pairs.
    """
    runs = [run for group in board.groups for run in group.runs]
    shown = chosen(all_columns(runs), runs, values)
    groups = [_group(group, shown, place, beside) for group in board.groups]
    metrics = dict.fromkeys(column["metric"] for group in groups for column in group["columns"])
    told = {name: text for name in metrics if (text := explanation(name))}
    return {"schema": SCHEMA, "groups": groups, "explanations": told, "words": WORDS} | {
        "meanings": {mark: meaning for mark, meaning in meanings(yardstick).items() if mark},
        "signs": SIGNS,
    }


def _group(group: Group, shown: Sequence[BoardColumn], place: Place, beside: Sequence[RunsBeside]) -> dict[str, Any]:
    judged = {run.name: Judged(run.results) for run in group.runs}
    rows = [network_row(row, place_text(row), judged[row.run.name]) for row in group.rows]
    ranks = {run.name: ranks_of(run.results) for run in group.runs}
    values = [value_column(group, column, rows) | held(column, rows, ranks) for column in group.columns]
    places = {column.name: place for place, column in enumerate(group.columns)}
    return {
        # gaps are on the yardsticks of one suite, and mean nothing beside another's
        "one_scale": len({run.results.suite.fingerprint for run in group.runs}) == 1,
        "known": [[name, plain(text)] for name, text in group.known],
        "rows": {name: [getattr(row, name) for row in rows] for name in OF_ROWS},
        "columns": values,
        "shown": [places[column.name] for column in shown if column.name in places],
        "costs": [place for place, column in enumerate(group.columns) if column.name in COSTS],
        "families": headlines(group.columns, rows, values),
        "pairs": pairs(group.runs, rows, beside),
        "small": [small_print(row, _variant(row, judged), place) for row in rows],
    }


def _variant(row: NetworkRow, judged: dict[str, Judged]) -> Any:
    of = row.of
    return None if of.variant is None else judged[of.run.name].variants[of.variant, of.target, of.replicate]

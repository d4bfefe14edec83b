"""The places that each network may truly hold by one value, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from bench.report.board.model import BoardColumn
from bench.report.interactive.networks import NetworkRow
from bench.report.leaderboard.ranks import Rank, RankKey
from bench.wording import plain

Ranks: TypeAlias = Mapping[str, Mapping[RankKey, Mapping[tuple[str, str], Rank]]]  # of each run, by its name


def places(
    column: BoardColumn,
    rows: Sequence[NetworkRow],
    ranks: Ranks,
) -> dict[str, list[Any]]:
    """``rank`` in words, ``rank_low`` and ``rank_high``, of each row; nothing where no row has any.

    Args:
        column: of a board.
        rows: of the page.
        ranks: of each run, by its name.
    """
    found = [_rank(column, row, ranks) for row in rows]
    if all(rank is None for rank in found):
        return {}
    return {
        "rank": ["" if rank is None else rank_text(rank) for rank in found],
        "rank_low": [None if rank is None else rank.low for rank in found],
        "rank_high": [None if rank is None else rank.high for rank in found],
    }


def _rank(column: BoardColumn, row: NetworkRow, ranks: Ranks) -> Rank | None:
    if row.of.variant is None or column.derived:
        return None
    key = RankKey(column.metric, column.parameters, column.value, row.of.replicate)
    return ranks[row.of.run.name].get(key, {}).get((row.of.variant, row.of.target))


def rank_text(rank: Rank) -> str:
    """A rank interval in words.

    >>> rank_text(Rank(2, 4, 9)), rank_text(Rank(1, 1, 9, "edge")), rank_text(Rank(None, None, 9, reason="no interval"))
    ('rank 2–4 of 9', 'rank 1 of 9 on edge', 'no rank: no interval')
    """
    if rank.low is None or rank.high is None:
        return f"no rank: {plain(rank.reason) or 'no reason was given'}"
    shown = str(rank.low) if rank.low == rank.high else f"{rank.low}–{rank.high}"
    return f"rank {shown} of {rank.of}{'' if rank.target is None else f' on {plain(rank.target)}'}"

"""Paired ratios of the variants of a run, by the rows that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.report.board.model import BoardRun
from bench.report.interactive.networks import NetworkRow
from bench.report.leaderboard import RatioGroup
from bench.report.leaderboard.ratios import Order
from bench.report.ratio_text import ratio_texts


def ratios(run: BoardRun, groups: Sequence[RatioGroup], rows: Sequence[NetworkRow]) -> list[dict[str, Any]]:
    """Each pair of neighbours by each change: the two rows, the value, and the sentence."""
    places = {
        (row.of.variant, row.of.target, row.of.replicate): place for place, row in enumerate(rows) if row.of.run is run
    }
    told = []
    for group, text in zip(groups, ratio_texts(groups), strict=True):
        if len(text.lines) != len(group.entries):  # one reason for all of them
            continue
        for entry, line in zip(group.entries, text.lines, strict=True):
            pair = [places.get((name, group.target, group.replicate)) for name in (entry.first, entry.second)]
            if None not in pair and entry.order is not Order.UNKNOWN:
                told.append({"rows": pair, "value": text.value, "sentence": line.sentence})
    return told

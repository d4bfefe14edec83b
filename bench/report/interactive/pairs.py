"""Variants of a run beside each other, in pairs of samples, by the rows that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.cell_id import canonical_parameters
from bench.report.board.model import BoardRun
from bench.report.interactive.difference_text import difference_sentence, value_name
from bench.report.interactive.networks import NetworkRow
from bench.report.interactive.runs_beside import beside_pairs
from bench.report.leaderboard.ratios import Order, ratio_groups
from bench.report.ratio_text import ratio_texts
from bench.results import RunsBeside
from bench.wording import plain, told_apart

MOST: Final = 4_000  # sentences of a page: 80 kB; results.json holds all


def pairs(
    runs: Sequence[BoardRun], rows: Sequence[NetworkRow], beside: Sequence[RunsBeside] = ()
) -> list[dict[str, Any]]:
    """What is said of any two variants, and of a network in two runs.

    Where that is too much for a page, changes of neighbours, then no harms; none of two runs above half of it.
    """
    between = beside_pairs(runs, rows, beside)
    between = between if 2 * len(between) <= MOST else []
    changes = [pair for run in runs for pair in ratios(run, rows)]
    harms = [pair for run in runs for pair in harm_differences(run, rows)]
    room = MOST - len(between)
    if len(changes) + len(harms) > room:
        changes = [pair for pair in changes if "near" in pair]
    return [*between, *changes, *(harms if len(changes) + len(harms) <= room else ())]


def _places(run: BoardRun, rows: Sequence[NetworkRow]) -> dict[tuple[str | None, str, int | None], int]:
    return {
        (row.of.variant, row.of.target, row.of.replicate): place for place, row in enumerate(rows) if row.of.run is run
    }


def ratios(run: BoardRun, rows: Sequence[NetworkRow]) -> list[dict[str, Any]]:
    """Each pair by each change: the two rows, the value, the sentence, and ``near`` of neighbours."""
    groups = ratio_groups(run.results, every=True)
    places = _places(run, rows)
    told = []
    for group, text in zip(groups, ratio_texts(groups), strict=True):
        if len(text.lines) != len(group.entries):  # one reason for all of them
            continue
        for entry, line in zip(group.entries, text.lines, strict=True):
            pair = [places.get((name, group.target, group.replicate)) for name in (entry.first, entry.second)]
            if None not in pair and entry.order is not Order.UNKNOWN:
                near = {"near": True} if entry.neighbours else {}
                told.append(
                    {
                        "rows": pair,
                        "value": f"{text.value}, {plain(group.value.metric)}",
                        "sentence": line.sentence,
                        **near,
                    }
                )
    return told


def harm_differences(run: BoardRun, rows: Sequence[NetworkRow]) -> list[dict[str, Any]]:
    """Each pair of variants on one target by each headline harm: the two rows, the value, and the sentence."""
    results = run.results
    places = _places(run, rows)
    held = {
        (cell.metric, canonical_parameters(cell.params), cell.variant, cell.target, cell.replicate): cell.values
        for cell in results.cells
    }
    ranks = [item for item in results.ranks if item.differences]
    apart = told_apart((item.metric, item.params) for item in ranks)
    told = []
    for item in ranks:
        parameters = canonical_parameters(item.params)
        name = value_name(item.value, apart[item.metric, parameters], item.metric)
        for pair in item.differences:
            of = [places.get((side, pair.target, item.replicate)) for side in (pair.first, pair.second)]
            values = held.get((item.metric, parameters, pair.first, pair.target, item.replicate), {})
            if None not in of and (value := values.get(item.value)) is not None:
                sides = plain(pair.first), plain(pair.second)
                sentence = difference_sentence(*sides, value, pair.difference, pair.ci, pair.numerical_floor)
                told.append({"rows": of, "value": name, "sentence": sentence})
    return told

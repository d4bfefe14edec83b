"""Variants of a run beside each other, in pairs of samples, by the rows that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.cell_id import canonical_parameters
from bench.report.board.model import BoardRun
from bench.report.interactive.networks import NetworkRow
from bench.report.leaderboard.ratios import Order, ratio_groups
from bench.report.ratio_text import ratio_texts
from bench.results import HarmDifference, ValueResult
from bench.wording import difference, plain, title, told_apart

MOST: Final = 4_000  # sentences of a page: 80 kB; results.json holds all


def pairs(runs: Sequence[BoardRun], rows: Sequence[NetworkRow]) -> list[dict[str, Any]]:
    """What is said of any two variants; where that is too much for a page, changes of neighbours, then no harms."""
    changes = [pair for run in runs for pair in ratios(run, rows)]
    harms = [pair for run in runs for pair in harm_differences(run, rows)]
    if len(changes) + len(harms) > MOST:
        changes = [pair for pair in changes if "near" in pair]
    return [*changes, *(harms if len(changes) + len(harms) <= MOST else ())]


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
        words = apart[item.metric, parameters]
        name = f"{title(item.value)} ({words})" if words else title(item.value)
        name = f"{name}, {plain(item.metric)}"
        for pair in item.differences:
            of = [places.get((side, pair.target, item.replicate)) for side in (pair.first, pair.second)]
            values = held.get((item.metric, parameters, pair.first, pair.target, item.replicate), {})
            if None not in of and (value := values.get(item.value)) is not None:
                told.append({"rows": of, "value": name, "sentence": difference_sentence(pair, value)})
    return told


def difference_sentence(pair: HarmDifference, value: ValueResult) -> str:
    """A paired difference of two harms in a sentence; ``value``: the first one's, for its unit.

    >>> names = {"first": "ptq4", "second": "ptq8", "target": "torch"}
    >>> share = ValueResult(kind="quality", interval="score")
    >>> difference_sentence(HarmDifference(**names, difference=0.061, ci=(0.032, 0.09)), share)
    'ptq4 is worse than ptq8 by 6.1 points [3.2, 9.0]'
    >>> difference_sentence(HarmDifference(**names, difference=0.0, ci=(-0.013, 0.013)), share)
    'ptq4 and ptq8 cannot be told apart: 0.0 points [-1.3, 1.3]'
    """
    first, second = plain(pair.first), plain(pair.second)
    if 0 < pair.numerical_floor >= abs(pair.difference):
        return f"{first} and {second}: the same within arithmetic"
    if pair.ci is None:
        return f"{first} beside {second}: {difference(value, pair.difference, None)[0]}, no interval"
    if pair.ci[0] <= 0 <= pair.ci[1]:
        return f"{first} and {second} cannot be told apart: {' '.join(difference(value, pair.difference, pair.ci))}"
    low, high = sorted(map(abs, pair.ci))
    figures = " ".join(difference(value, abs(pair.difference), (low, high))).removeprefix("+")
    return f"{first} is {'worse' if pair.difference > 0 else 'better'} than {second} by {figures}"

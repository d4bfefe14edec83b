"""Two runs of a board beside each other: each network with itself, in pairs of samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from bench.cell_id import canonical_parameters
from bench.report.board.model import BoardRun
from bench.report.interactive.difference_text import difference_sentence, value_name
from bench.report.interactive.networks import NetworkRow
from bench.report.leaderboard.ratios import Order, ratio_entry
from bench.report.ratio_text import ratio_sentence
from bench.results import RunRatio, RunsBeside
from bench.wording import plain, told_apart

SAME = "one and the same measurement in both"
Place = tuple[str, str | None, str, int | None]  # run, variant, target, replicate


def beside_pairs(
    runs: Sequence[BoardRun], rows: Sequence[NetworkRow], beside: Sequence[RunsBeside]
) -> list[dict[str, Any]]:
    """Each network that two of these runs hold: the two rows, the value, and the sentence; reasons stand once.

    Args:
        runs: of one table.
        rows: all of them.
        beside: what is known of two runs; of others than these it is left out.
    """
    names = {run.place: run for run in runs}
    places = {(row.of.run.place, row.of.variant, row.of.target, row.of.replicate): i for i, row in enumerate(rows)}
    told: list[dict[str, Any]] = []
    for item in beside:
        if item.before in names and item.after in names:
            told += _of_two(item, [plain(names[place].name) for place in (item.after, item.before)], places)
    return told


def _of_two(item: RunsBeside, names: Sequence[str], places: dict[Place, int]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    unknown: dict[tuple[tuple[int, ...], str], list[str]] = defaultdict(list)

    def say(who: str | None, target: str, replicate: int | None, value: str, sentence: str, reason: str) -> None:
        found = [places.get((run, who, target, replicate)) for run in (item.after, item.before)]
        rows = tuple(place for place in found if place is not None)
        if len(rows) < 2:
            return
        if reason:
            unknown[rows, reason].append(value)
        else:
            told.append({"rows": list(rows), "value": value, "sentence": sentence})

    held = [(ratio.metric, ratio.params) for ratio in item.ratios]
    words = told_apart([*held, *((difference.metric, difference.params) for difference in item.differences)])

    def name_of(metric: str, params: dict[str, Any], value: str) -> str:
        return value_name(value, words[metric, canonical_parameters(params)], metric)

    for ratio in item.ratios:
        value = name_of(ratio.metric, ratio.params, ratio.value)
        say(ratio.variant, ratio.target, ratio.replicate, value, *_ratio(ratio, names))
    for difference in item.differences:
        value = name_of(difference.metric, difference.params, difference.value)
        who = "the reference" if difference.variant is None else plain(difference.variant)
        sentence = SAME if difference.unchanged else ""
        if not sentence and difference.difference is not None:
            later, earlier = (f"{who} in {name}" for name in names)
            told_of = difference.difference, difference.ci, difference.numerical_floor
            sentence = difference_sentence(later, earlier, difference.like, *told_of)
        say(difference.variant, difference.target, difference.replicate, value, sentence, plain(difference.reason))
    told += [
        {"rows": list(rows), "value": "; ".join(values), "sentence": f"not paired: {reason}"}
        for (rows, reason), values in unknown.items()
    ]
    return told


def _ratio(ratio: RunRatio, names: Sequence[str]) -> tuple[str, str]:
    """The sentence, and the reason why there is none."""
    sides = [f"{plain(ratio.variant)} in {name}" for name in names]
    entry = ratio_entry(sides[0], sides[1], ratio)
    if entry.order is Order.UNKNOWN:
        return "", plain(ratio.reason) or "no ratio, and no reason was given"
    return (SAME if ratio.unchanged else ratio_sentence(entry)), ""


def between_runs(group: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pairs of a table's rows of two runs, in the order of rows: the names of both, and (network, value, sentence).

    >>> told = {"run": ["a", "b"], "label": ["int8 (edge)", "int8 (edge)"]}
    >>> pair = {"rows": [1, 0], "value": "accuracy", "sentence": "int8 in b is worse"}
    >>> between_runs({"rows": told, "pairs": [pair]})
    [{'before': 'a', 'after': 'b', 'lines': [('int8 (edge)', 'accuracy', 'int8 in b is worse')]}]
    """
    lists: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    run, label = group["rows"]["run"], group["rows"]["label"]
    for pair in sorted(group["pairs"], key=lambda pair: pair["rows"][0]):
        later, earlier = pair["rows"]
        if run[later] != run[earlier]:
            lists[run[earlier], run[later]].append((label[later], pair["value"], pair["sentence"]))
    return [{"before": before, "after": after, "lines": lines} for (before, after), lines in lists.items()]

"""The places that the variants of a run may truly hold, by each headline change and each harm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.cell_id import canonical_parameters
from bench.engine.harm_differences import harm_differences, is_headline_harm
from bench.engine.inline import InlineEngine, Measured
from bench.engine.rank_evidence import (
    Contributions,
    Ranked,
    Standing,
    evidence_of,
    floor_of,
    method_of,
    ranked_values,
    table_of,
)
from bench.engine.unreliable import Unreliable
from bench.metrics.values import Change
from bench.results import Cell, RankEntry, RankResult, Unranked
from bench.stats.paired_order import Order, counts_less, draws_less, means_less
from bench.stats.rank_intervals import beyond_arithmetic, rank_intervals
from bench.suite.plan import STATISTICS_VERSION, PlannedCell

RANKS_VERSION = 3  # rises when the same cells get other ranks
OVER_REPLICATES = "told replicate by replicate: of several replicates together no rank interval is known to cover"
NONE = "no variant can be ranked"
LOST = "its answers sample by sample are no longer stored"
Group = list[tuple[PlannedCell, Measured]]


class _Incomplete(Exception):
    """Ranks of which some lack answers that a later run may have again."""


def ranks_of(engine: InlineEngine, cells: Sequence[tuple[PlannedCell, Measured]]) -> list[RankResult]:
    """The rank intervals of each metric's values, each replicate by itself, all targets together.

    Two harms or changes are beside each other on the same samples whatever the target, each against the reference on
    its own target. A metric that one cell alone is of ranks nothing. They are stored under the keys of the cells, and
    derived anew where one of those is.
    """
    unreliable = Unreliable(engine, cells)
    groups: dict[tuple[str, str, int | None], Group] = defaultdict(list)
    for planned, measured in cells:
        cell = measured.cell
        groups[cell.metric, canonical_parameters(cell.params), cell.replicate].append((planned, measured))
    return [found for group in groups.values() if len(group) > 1 for found in _of_group(engine, group, unreliable)]


def _of_group(engine: InlineEngine, group: Group, unreliable: Unreliable) -> list[RankResult]:
    """The ranks by all values of one metric in one replicate."""
    cells = [measured.cell for _, measured in group]
    values = [value for value in ranked_values(group[0][0]) if any(_has_figure(cell, value) for cell in cells)]
    if not values:
        return []
    if cells[0].replicate is None:
        return [_result(cells[0], value, reason=OVER_REPLICATES) for value in values]
    warned = [unreliable.reason(cell.family, cell.variant, cell.target, cell.replicate) for cell in cells]

    def derive() -> dict[str, Any]:
        standings = [Standing(engine, *item) for item in group]
        found = [item for value in values for item in _of_value(value, standings, warned, engine.derivation.draws)]
        content = {"ranks": [item.model_dump(mode="json") for item in found]}
        if any(left.reason == LOST for item in found for left in item.left_out):
            raise _Incomplete(content)
        return content

    def read(content: dict[str, Any]) -> list[RankResult]:
        return [RankResult.model_validate(item) for item in content["ranks"]]

    named = [
        [cell.variant, cell.target, planned.key, cell.status, "" if cell.status == "ok" else cell.reason]
        for (planned, _), cell in zip(group, cells, strict=True)
    ]
    parts = {"statistics": STATISTICS_VERSION, "ranks": RANKS_VERSION, "cells": named, "warned": warned}
    measured_cells = [measured for _, measured in group if measured.cell.status == "ok"]
    try:
        return engine.across("families", parts, measured_cells, lambda: engine.observations.with_whole(derive), read)[0]
    except _Incomplete as incomplete:
        return read(incomplete.args[0])


def _of_value(value: Ranked, standings: Sequence[Standing], warned: Sequence[str], draws: int) -> list[RankResult]:
    """The ranks by one value: all targets together, or each alone where other samples count on others."""
    reasons = [
        _reason(standing.measured.cell, value) or warning for standing, warning in zip(standings, warned, strict=True)
    ]
    fit = [row for row, reason in enumerate(reasons) if not reason]
    known = dict(zip(fit, evidence_of(value, [standings[row] for row in fit]), strict=True))
    for row in fit:
        reasons[row] = LOST if known[row] is None else ""
    cells = [standing.measured.cell for standing in standings]
    shared = {(item.samples, item.numbers.size) for item in known.values() if item is not None}
    targets: list[str | None] = [None] if len(shared) <= 1 else list(dict.fromkeys(cell.target for cell in cells))
    out = []
    for target in targets:
        rows = [row for row, cell in enumerate(cells) if target in (None, cell.target)]
        told = [(cells[row], known.get(row), reasons[row]) for row in rows]
        out.append(_ranked(value, target, told, draws))
    return out


def _ranked(
    value: Ranked, target: str | None, rows: Sequence[tuple[Cell, Contributions | None, str]], draws: int
) -> RankResult:
    """The ranks of cells whose samples are the same; ``draws``: how many resamples tell of a mean's difference."""
    ranked = [(cell, contributions) for cell, contributions, _ in rows if contributions is not None]
    left_out = [Unranked(variant=cell.variant, target=cell.target, reason=reason) for cell, _, reason in rows if reason]
    if not ranked:
        return _result(rows[0][0], value, target=target, left_out=left_out, reason=NONE)
    cells = [cell for cell, _ in ranked]
    intervals = rank_intervals(_surely_less(value, cells, [item for _, item in ranked]))
    entries = [
        RankEntry(variant=cell.variant, target=cell.target, low=low, high=high)
        for cell, (low, high) in zip(cells, intervals, strict=True)
    ]
    n, method = cells[0].values[value.name].n, method_of(value)
    apart = harm_differences(value, ranked, draws) if is_headline_harm(cells[0], value) else []
    content = {"n": n, "of": len(cells), "method": method, "entries": entries, "differences": apart}
    return _result(cells[0], value, target=target, left_out=left_out, **content)


def _surely_less(value: Ranked, cells: Sequence[Cell], contributions: Sequence[Contributions]) -> Order:
    """Which is surely less than which, by more than arithmetic can do."""
    results = [cell.values[value.name] for cell in cells]
    estimates = np.array([result.estimate for result in results], dtype=np.float64)
    floors = np.array([floor_of(value, result) for result in results])
    table, method = table_of(contributions), method_of(value)
    if method == "draws":
        less = draws_less(estimates, table, results[0].n or 0)
    else:
        less = counts_less(table) if method == "counts" else means_less(table)
    return less & beyond_arithmetic(estimates, floors, value.scale_power if isinstance(value, Change) else 1)


def _has_figure(cell: Cell, value: Ranked) -> bool:
    return value.name in cell.values and cell.values[value.name].estimate is not None


def _reason(cell: Cell, value: Ranked) -> str:
    """Why a cell has no rank by a value; empty where it may have one."""
    if cell.status != "ok":
        return f"{cell.status}: {cell.reason}"
    result = cell.values.get(value.name)
    if result is None:
        return "not measured"
    if result.estimate is None:
        return result.reason or "no figure"
    return "" if result.ci is not None else result.reason or "no interval"


def _result(cell: Cell, value: Ranked, **content: Any) -> RankResult:
    kind = cell.values[value.name].kind if value.name in cell.values else value.kind
    names = {"metric": cell.metric, "params": cell.params, "family": cell.family, "replicate": cell.replicate}
    return RankResult.model_validate({**names, "value": value.name, "kind": kind, **content})

"""Attacks on pairs compared from the samples that every compared network gets right."""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bench.cell_id import canonical_parameters
from bench.engine.arrays import NetworkArrays
from bench.engine.inline import InlineEngine, Measured
from bench.engine.judged import is_stored
from bench.metrics.base import Metric
from bench.metrics.values import Arrays
from bench.suite.plan import PlannedCell

Group = list[tuple[PlannedCell, Measured]]


def add_common_starts(engine: InlineEngine, cells: Sequence[tuple[PlannedCell, Measured]]) -> None:
    """Add to the details of each attack on a pair what it found from the starts that all its networks have.

    All: the variants that the same attack with the same parameters was put to on the same target in the same replicate,
    and the yardsticks. A cell's own figures start from what its pair gets right, which is more where a network gets
    less right. An attack of one sample knows nothing of the others, so that nothing is run again.
    """
    groups: dict[tuple[str, str, str, int | None], Group] = defaultdict(list)
    for planned, measured in cells:
        cell = measured.cell
        if planned.use.metric.starts and cell.status == "ok" and cell.replicate is not None:
            groups[cell.target, cell.metric, canonical_parameters(cell.params), cell.replicate].append(
                (planned, measured)
            )
    for group in groups.values():
        _of_group(engine, group)


def common_starts(started: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    """1 where every network was started from a sample, of flags (n,) each; (n,).

    >>> common_starts([np.array([1, 1, 0]), np.array([1, 0, 0])]).tolist()
    [1, 0, 0]
    """
    return np.asarray(np.min(np.stack(started), axis=0), dtype=np.uint8)


def _of_group(engine: InlineEngine, group: Group) -> None:
    """Add the details of one attack; nothing where arrays are no longer stored."""
    behind = [item for planned, _ in group for role in (planned.observed, *planned.yardsticks) for item in role[0]]
    if not all(is_stored(engine.store, item) for item in behind):
        return
    variants: list[NetworkArrays] = []
    marks: dict[str, NetworkArrays] = {}
    for planned, _ in group:
        variants.append(engine.role("variant", planned, planned.observed)[0])
        for mark in planned.yardsticks:
            marks.setdefault(mark[0][0].key, engine.role("yardstick", planned, mark)[0])
    name = group[0][0].use.metric.starts
    every = [*variants, *marks.values()]
    if any(name not in arrays for arrays in every):
        return
    common = common_starts([arrays[name] for arrays in every])
    networks = [measured.cell.variant for _, measured in group]
    for (planned, measured), arrays in zip(group, variants, strict=True):
        own = planned.use.metric
        told = {
            "networks": networks,
            **_from(own, arrays, name, common),
            "yardsticks": [_from(own, mark, name, common) for mark in marks.values()],
        }
        measured.cell.details = {**measured.cell.details, "common_starts": told}


def _from(metric: Metric, arrays: NetworkArrays, name: str, common: NDArray[np.uint8]) -> dict[str, Any]:
    """The details of a network's answers, restricted to the common starts."""
    return metric.details(cast("Arrays", ChainMap({name: common}, cast("dict[str, Any]", arrays))))

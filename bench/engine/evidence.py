"""The arrays of a cell's networks, and what values read of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.engine.arrays import NO_LABELS, THE_REFERENCE, NetworkArrays
from bench.engine.row_blocks import by_rows
from bench.metrics.base import reads
from bench.metrics.values import Change, Cost, Float, Value, names
from bench.stats.change import independent_change
from bench.stats.tail import tail_contributions


@dataclass(frozen=True, eq=False)
class Evidence:
    """The arrays of a cell's networks, by draw; what need not be asked beside a skipped network is not in it."""

    reference: Sequence[NetworkArrays]
    variant: Sequence[NetworkArrays]
    yardsticks: Sequence[Sequence[NetworkArrays]]
    floor: NetworkArrays | None
    n: int

    @property
    def skipped(self) -> str:
        """The network without figures and the reason, the variant first; empty where both have some."""
        for role, draws in (("variant", self.variant), ("reference", self.reference)):
            if draws and draws[0].refused:
                return f"{role}: {draws[0].refused}"
        return ""


def keys_of(value: Value, arrays: NetworkArrays) -> Hashable:
    """The keys of the arrays that a value is made of; equal keys, equal figures."""
    return tuple(arrays.key(name) for name in reads(value))


def absent_from(value: Value, arrays: NetworkArrays) -> str:
    """Why a network lacks what a value is made of; empty where it has it all, or where nobody refused it."""
    return next((why for name in reads(value) if (why := arrays.refusal(name))), "")


def absent(value: Value, evidence: Evidence) -> str:
    """Why a value does not exist in this cell; costs say it themselves."""
    if isinstance(value, Cost):
        return ""
    for role, draws in (("variant", evidence.variant), ("reference", evidence.reference)):
        if why := absent_from(value, draws[0]):
            return why if why == NO_LABELS or why.startswith(THE_REFERENCE) else f"{role}: {why}"
    return ""


def distances_of(value: Change, first: NetworkArrays, second: NetworkArrays) -> Float:
    """Distances (n,) between two networks; of a pair probe what it found between the reference and the second."""
    of = names(value.of)
    if value.distance is None:
        return np.asarray(second[of[0]], dtype=np.float64)
    both = [*(first[name] for name in of), *(second[name] for name in of)]
    key = (value.distance, *(tuple(arrays.key(name) for name in of) for arrays in (first, second)))
    distance = value.distance
    return first.memo.get(key, lambda: np.asarray(by_rows(distance, both), dtype=np.float64))


def sample_distances(value: Change, first: Sequence[NetworkArrays], second: Sequence[NetworkArrays]) -> Float:
    """Contributions (m,) of the samples that count, of which the change is the mean.

    Distances; of independent draws what each adds to the energy distance; of a tail h = v + max(d - v, 0) / .05.
    """
    if value.coupling == "common":
        distances = distances_of(value, first[0], second[0])
    else:
        distances = independent_change(
            distances_of(value, first[0], second[1]),
            distances_of(value, first[0], first[1]),
            distances_of(value, second[0], second[1]),
        )
    return _counted(value, distances, first[0])


def floor_of(value: Change, evidence: Evidence) -> float:
    """The mean distance that arithmetic alone brings about; 0 where it was not measured."""
    if evidence.floor is None or evidence.floor.refused:
        return 0.0
    distances = distances_of(value, evidence.reference[0], evidence.floor)
    return float(_counted(value, distances, evidence.reference[0]).mean())


def _counted(value: Change, distances: Float, reference: NetworkArrays) -> Float:
    """The distances of the samples that count by the reference's answers."""
    rows = rows_of(value, reference)
    distances = distances if rows is None else distances[rows]
    return tail_contributions(distances) if value.summary == "worst 5 %" and distances.size else distances


def rows_of(value: Change, arrays: NetworkArrays) -> NDArray[np.int64] | None:
    """The indices of the samples that count; None: all."""
    return np.flatnonzero(arrays[value.where]) if value.where else None


def describe_parity(evidence: Evidence) -> dict[str, Any] | None:
    """The distance of both networks' differentiable views from what runs; None where none was used."""
    parities = {
        "reference": evidence.reference[0].notes.get("parity"),
        "variant": evidence.variant[0].notes.get("parity"),
    }
    return {name: figures for name, figures in parities.items() if figures is not None} or None


def describe_details(evidence: Evidence, describe: Callable[[NetworkArrays], dict[str, Any]]) -> dict[str, Any]:
    """The notes of probes on both networks, and the metric's own diagnostics."""
    details = {}
    for role, arrays in (("reference", evidence.reference[0]), ("variant", evidence.variant[0])):
        noted = {name: told for name, told in arrays.notes.items() if name not in ("parity", "why")}
        details[role] = {**noted, **describe(arrays)}
    return {role: notes for role, notes in details.items() if notes}

"""The small print of a cell and of a run: every value, protocol and origin as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.cell_id import canonical_parameters
from bench.report.figures import SAME, Figure, estimate, figure_of, gap, number, share
from bench.report.parity import parity_lines
from bench.results import Cell, Results, ValueResult
from bench.wording import NOTHING, coverage_words, is_resampled_harm, limit, plain, title, told_apart

LONGEST = 2000
MEANINGS = {"change": "change", "quality": "harm", "pair": "harm", "bound": "ratio", "cost": "ratio"}


@dataclass(frozen=True)
class ValueRow:
    """One value of a cell, column by column."""

    name: str
    kind: str
    reference: Figure
    variant: Figure
    estimate: Figure
    meaning: str
    gap: Figure
    seed_ratio: str
    p_value: str
    floor: str
    gates: tuple[tuple[str, str], ...]
    remarks: str


@dataclass(frozen=True)
class CellDetail:
    """One metric on one variant."""

    metric: str
    status: str
    reason: str
    n: int
    seconds: str
    cached: bool
    values: tuple[ValueRow, ...]
    protocol: tuple[tuple[str, str], ...]
    parity: tuple[tuple[str, str], ...]
    details: str
    key: str


def finite(thing: Any) -> Any:
    """The same data with null in the place of what JSON cannot hold.

    >>> finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(thing, Mapping):
        return {plain(key): finite(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [finite(value) for value in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return None
    return thing


def flat(thing: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested data as (dotted name, text) pairs.

    >>> flat({"git": {"dirty": True}, "argv": ["crbench", "run"]})
    [('git.dirty', 'yes'), ('argv', 'crbench run')]
    """
    if isinstance(thing, Mapping):
        found = []
        for key, value in thing.items():
            found += flat(value, f"{prefix}.{plain(key)}" if prefix else plain(key))
        return found
    if isinstance(thing, list | tuple):
        nested = any(isinstance(item, Mapping | list | tuple) for item in thing)
        text = json.dumps(finite(thing), default=str) if nested else " ".join(_word(item) for item in thing)
        return [(prefix, plain(text))]
    return [(prefix, _word(thing))]


def _word(thing: Any) -> str:
    if isinstance(thing, bool):
        return "yes" if thing else "no"
    if thing is None or (isinstance(thing, float) and not math.isfinite(thing)):
        return NOTHING
    return plain(thing)


def shortened(thing: Any) -> str:
    """Data as indented JSON, cut where it grows long; no more of it is written than is shown."""
    text = ""
    for part in json.JSONEncoder(indent=1, ensure_ascii=False, default=str).iterencode(finite(thing)):
        text += part
        if len(text) > LONGEST:
            return f"{text[:LONGEST]}\n… cut here; results.json holds the whole"
    return text


def detail(cell: Cell, words: str = "") -> CellDetail:
    """A cell in full; ``words`` are the parameters that tell it from its like."""
    return CellDetail(
        metric=f"{plain(cell.metric)} ({words})" if words else plain(cell.metric),
        status=cell.status,
        reason=plain(cell.reason),
        n=cell.n,
        seconds=f"{cell.seconds:.2g}",
        cached=cell.cached,
        values=tuple(value_row(name, value, cell.n) for name, value in cell.values.items()),
        protocol=tuple(flat({**cell.params, **cell.protocol})),
        parity=tuple(parity_lines(cell)),
        details=shortened(cell.details) if cell.details else "",
        key=plain(cell.key),
    )


def details(cells: tuple[Cell, ...]) -> list[CellDetail]:
    """Every cell of one variant."""
    apart = told_apart((cell.metric, cell.params) for cell in cells)
    return [detail(cell, apart[cell.metric, canonical_parameters(cell.params)]) for cell in cells]


def value_row(name: str, value: ValueResult, n: int = 0) -> ValueRow:
    """One value of n samples, with all that qualifies it in the remarks."""
    shown = estimate(value)
    remarks = []
    if value.interval != "none":
        remarks.append(f"{value.interval} interval")
    if n and is_resampled_harm(value) and (words := coverage_words(n)):
        remarks.append(words)
    if value.gap is not None and value.gap_further is not None:
        least = limit(value.gap_further, "lower") if value.gap_further > 0 else "≥ 0"
        remarks.append(f"gap {least} beside one further yardstick")
    if value.scope == "recipe":
        remarks.append("of the recipe")
    if value.bound is not None:
        remarks.append(f"{value.bound.kind} bound, {plain(value.bound.norm)}, {plain(value.bound.domain)}")
    if shown.value == SAME and value.estimate is not None:
        remarks.append(f"measured {number(value.estimate)}, the floor is {number(value.numerical_floor)}")
    scale = gap(value.gap, value.gap_ci, value.reason) if value.kind == "change" else Figure()
    # the first is in its own column already where the whole figure is missing
    if value.reason:
        remarks.append(plain(value.reason))
    return ValueRow(
        name=title(name),
        kind=value.kind,
        reference=figure_of(value, "reference"),
        variant=figure_of(value, "variant"),
        estimate=shown,
        meaning=MEANINGS[value.kind],
        gap=scale,
        seed_ratio=number(value.seed_ratio),
        p_value=share(value.p_value),
        floor=number(value.numerical_floor),
        gates=tuple((gate.verdict, f"{gate.rule.replace('_', ' ')}: {plain(gate.because)}") for gate in value.gates),
        remarks="; ".join(remarks),
    )


def provenance(results: Results) -> list[tuple[str, str]]:
    """Where the numbers come from."""
    suite = results.suite
    data = {} if suite.data is None else suite.data.model_dump()
    return flat(
        {
            "suite": {"name": suite.name, "fingerprint": suite.fingerprint, "path": suite.path, "data": data},
            "reference": {**results.reference.description, "key": results.reference.key},
            "yardsticks": {"count": results.reference.yardsticks, "kind": results.reference.yardstick_kind},
            **({} if results.run is None else results.run.model_dump()),
        }
    )

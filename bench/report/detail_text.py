"""The small print of a cell and of a run in words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.report.detail import CellEntry, Remark, ValueEntry
from bench.report.figures import Figure, estimate, figure_of, gap, number, share
from bench.report.parity import parity_lines
from bench.results import Example
from bench.wording import NOTHING, coverage_words, limit, parameters_in_words, plain, significant, title

LONGEST = 2000


@dataclass(frozen=True)
class ValueText:
    """One value of a cell, column by column."""

    name: str
    reference: Figure
    variant: Figure
    estimate: Figure
    meaning: str
    gap: Figure
    seed_ratio: str
    p_value: str
    floor: str
    gates: tuple[tuple[str, str], ...]  # verdict, rule with its reason
    remarks: str


@dataclass(frozen=True)
class CellText:
    """One metric on one variant."""

    metric: str
    status: str
    reason: str
    n: int
    seconds: str
    cached: bool
    values: tuple[ValueText, ...]
    protocol: tuple[tuple[str, str], ...]
    parity: tuple[tuple[str, str], ...]
    details: str
    examples: tuple[tuple[str, str], ...]  # caption, PNG in base64
    of_maps: bool  # whether they show maps, or else inputs


def cell_text(entry: CellEntry) -> CellText:
    """A cell in full, in words."""
    cell, words = entry.cell, parameters_in_words(entry.apart)
    return CellText(
        metric=f"{plain(cell.metric)} ({words})" if words else plain(cell.metric),
        status=cell.status,
        reason=plain(cell.reason),
        n=cell.n,
        seconds=f"{cell.seconds:.2g}",
        cached=cell.cached,
        values=tuple(value_text(value) for value in entry.values),
        protocol=tuple(flat({**cell.params, **cell.protocol})),
        parity=tuple(parity_lines(cell)),
        details=shortened(cell.details) if cell.details else "",
        examples=tuple((_caption(item), item.picture) for item in cell.examples),
        of_maps=all(item.classes is None for item in cell.examples),
    )


def _caption(item: Example) -> str:
    """What a picture shows: how far the maps of a sample moved, or what both networks say of an input."""
    if item.classes is None:
        return f"{plain(item.sample)}: {title(item.value)} {significant(item.distance)}"
    first, second = map(plain, item.classes)
    return f"{plain(item.sample)}: {first} by the reference, {second} by the variant"


def value_text(entry: ValueEntry) -> ValueText:
    """One value in words, with all that qualifies it in the remarks."""
    value = entry.value
    limits = None if entry.gap_low is None and entry.gap_high is None else (entry.gap_low, entry.gap_high)
    scaled = value.kind == "change"
    return ValueText(
        name=title(entry.name),
        reference=figure_of(value, "reference"),
        variant=figure_of(value, "variant"),
        estimate=estimate(value),
        meaning=entry.meaning.value,
        gap=gap(entry.gap, limits, value.reason) if scaled else Figure(),
        seed_ratio=number(value.seed_ratio),
        p_value=share(value.p_value),
        floor=number(value.numerical_floor),
        gates=tuple((gate.verdict, f"{gate.rule.replace('_', ' ')}: {plain(gate.because)}") for gate in entry.gates),
        remarks="; ".join(filter(None, (_remark(remark, entry) for remark in entry.remarks))),
    )


def _remark(remark: Remark, entry: ValueEntry) -> str:
    """A remark in words; empty where there is nothing to say, as of the intervals of many samples."""
    value = entry.value
    if remark is Remark.INTERVAL:
        return f"{value.interval} interval"
    if remark is Remark.COVERAGE:
        return coverage_words(entry.n)
    if remark is Remark.FURTHER and value.gap_further is not None:
        least = limit(value.gap_further, "lower") if value.gap_further > 0 else "≥ 0"
        return f"gap {least} beside one further yardstick"
    if remark is Remark.RECIPE:
        return "of the recipe"
    if remark is Remark.BOUND and value.bound is not None:
        return f"{value.bound.kind} bound, {plain(value.bound.norm)}, {plain(value.bound.domain)}"
    if remark is Remark.FLOOR:
        return f"measured {number(entry.estimate)}, the floor is {number(value.numerical_floor)}"
    return plain(value.reason)


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
        lines = []
        for key, value in thing.items():
            lines += flat(value, f"{prefix}.{plain(key)}" if prefix else plain(key))
        return lines
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

"""The results of a cell: as the text of a failed item, and as properties for JUnit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.gate import judge_gates
from bench.pytest_plugin.recognition import SUMS_NOTE
from bench.results import Cell, Judgement, ValueResult
from bench.results.consequences import WORDS, readable_word
from bench.wording import plain, title
from bench.wording_of_sums import caveat, sums_told, unmeasured

Property = tuple[str, object]


def closer(suite: Path | str, label: str, store: str | None) -> str:
    """The command that measures, and reports, this cell alone; brackets would be read as a set of characters.

    >>> closer("s.toml", "a/torch/m[k=1]", None)
    "crbench run s.toml --only 'a/torch/m?k=1?'"
    """
    pattern = label.replace("[", "?").replace("]", "?")
    tail = "" if store is None else f" --store {shlex.quote(store)}"
    return f"crbench run {shlex.quote(str(suite))} --only {shlex.quote(pattern)}{tail}"


def heading(cell: Cell, says: str) -> str:
    """The heading of an explanation: the cell, and what of it."""
    return f"{plain(cell.variant)} on {plain(cell.target)}, {plain(cell.metric)}: {says}"


def how_to_accept(cell: Cell) -> list[str]:
    """The line that accepts that the cell is skipped; nothing where it is not."""
    if cell.status != "skipped":
        return []
    return [f'  accept it by name in the suite: not_applicable = ["{cell.variant}/{cell.target}/{cell.metric}"]']


def lines_of(judgements: Sequence[Judgement]) -> list[str]:
    """One line each: value, figures and why, rule, and the word."""
    return [f"  {title(item.value)}: {item.because} ({_rule(item)}, {readable_word(item)})" for item in judgements]


def _rule(item: Judgement) -> str:
    return f"{item.rule or 'baseline'}{' per class' if item.per else ''}"


def properties(cell: Cell, judgements: Sequence[Judgement]) -> list[Property]:
    """Names and values for ``user_properties``: plain numbers, texts, null left out."""
    listed: list[Property] = [
        ("variant", plain(cell.variant)), ("target", plain(cell.target)), ("metric", plain(cell.metric)),
        ("family", cell.family), ("status", cell.status), ("n", cell.n), ("reused", cell.cached),
    ]  # fmt: skip
    listed += [(f"parameter.{plain(key)}", plain(value)) for key, value in cell.params.items()]
    if cell.replicate:
        listed.append(("replicate", cell.replicate))
    if cell.reason:
        listed.append(("reason", plain(cell.reason)))
    for name, value in cell.values.items():
        listed += [(f"{name}.{key}", figure) for key, figure in figures(value).items()]
        listed += [(f"{name}.{gate.rule}", f"{gate.verdict}: {gate.because}") for gate in value.gates]
    for item in judgements:
        listed.append((f"{item.value}.{item.against}", f"{item.verdict}: {item.because}"))
    sums = sums_told([cell])
    if sums is not None:
        listed.append(("integer_sums", plain(sums.get("kind") or "unknown")))
    gates = sorted(judge_gates(cell), key=lambda item: list(WORDS).index(item.verdict))
    return [*listed, ("verdict", readable_word(gates[0]) if gates else "not gated")]


def sums_note(cell: Cell, elsewhere: Mapping[str, Sequence[str]] | None = None) -> list[Property]:
    """That a network is another function on other processors, where nothing measures it; for the closing lines too.

    ``elsewhere`` holds the targets that the suite measures it on, by the kind of their sums; None: a pair of a test.
    """
    sums = sums_told([cell])
    if not unmeasured(sums, elsewhere):
        return []
    return [(SUMS_NOTE, f"{plain(cell.variant)} on {plain(cell.target)}: {caveat(sums, elsewhere)}")]


def figures(value: ValueResult) -> dict[str, Any]:
    """The figures of a value: value, estimate, interval, gap and its interval, or why there is none."""
    known: dict[str, Any] = {
        "value": value.variant, "reference": value.reference, "estimate": value.estimate,
        "interval": _limits(value.ci), "gap": value.gap, "gap_interval": _limits(value.gap_ci),
        "unit": plain(value.unit) or None, "reason": plain(value.reason) or None,
    }  # fmt: skip
    return {key: figure for key, figure in known.items() if figure is not None}


def _limits(limits: tuple[float | None, float | None] | None) -> str | None:
    """Limits as an interval; an open end is an empty one.

    >>> _limits((0.1, None))
    '[0.1, ]'
    """
    if limits is None or limits == (None, None):
        return None
    low, high = ("" if end is None else f"{end:.6g}" for end in limits)
    return f"[{low}, {high}]"

"""Judgements of single values of a run, and where to look closer."""

from __future__ import annotations

import shlex
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.cell_id import CellId
from bench.results import CellRecord, Judgement, Results, Word
from bench.wording import plain


class Answer(NamedTuple):
    """A word, its reason, and the figures behind it: fields of a judgement."""

    word: Word
    because: str
    figures: dict[str, Any]


def judgement(
    cell: CellRecord, value: str, against: Literal["baseline", "first", "reference"], word: Word,
    because: str, look: str, **figures: Any,
) -> Judgement:  # fmt: skip
    """A judgement of a value of a cell."""
    return Judgement(
        variant=cell.variant,
        target=cell.target,
        metric=cell.metric,
        params=cell.params,
        replicate=cell.replicate,
        label=cell.label,
        value=value,
        against=against,
        verdict=word,
        because=because,
        look=look,
        **figures,
    )


def suite_file(results: Results) -> str:
    """The suite of a run as a path from the current folder; empty where it is not there, as beside a downloaded run.

    It is looked for where it was, here, and in ``suites``, and must name itself as the run's does.
    """
    named = Path(plain(results.suite.path))
    for file in (named, Path(named.name), Path("suites") / named.name):
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if content.get("name", file.stem) == results.suite.name:
            return file.as_posix()
    return ""


def look_closer(cell: CellRecord, suite_path: str) -> str:
    """The command that tells why a cell was measured or reused; empty without the suite's file."""
    if not suite_path:
        return ""
    return f"crbench why {shlex.quote(plain(cell.label))} --suite {shlex.quote(suite_path)}"


def measure_it(cell: CellRecord, suite_path: str) -> str:
    """The command that measures a cell; empty without the suite's file."""
    if not suite_path:
        return ""
    return f"crbench run {shlex.quote(suite_path)} --only {shlex.quote(plain(cell.label))}"


def by_cell(judgements: Sequence[Judgement]) -> dict[CellId, list[Judgement]]:
    """Judgements by the cell that they are about."""
    grouped: dict[CellId, list[Judgement]] = defaultdict(list)
    for item in judgements:
        grouped[item.id].append(item)
    return dict(grouped)

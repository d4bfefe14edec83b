"""What a run holds beside its leaderboard, each a section of a page: only those that hold something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.report import equivalents, exemplars, landscape, series, transfer
from bench.results import Results


@dataclass(frozen=True)
class Section:
    """One section: its name is that of its template."""

    name: str
    heading: str
    note: str
    texts: Sequence[Any] = field(repr=False)


def sections_of(results: Results) -> tuple[Section, ...]:
    """The sections of a run in the order of a page."""
    parts = (
        Section("series", series.HEADING, series.NOTE, series.series_texts(results.series)),
        Section("landscape", landscape.HEADING, landscape.NOTE, landscape.landscape_texts(results.landscape)),
        Section("exemplars", exemplars.HEADING, exemplars.NOTE, exemplars.exemplars_texts(results.exemplars)),
        Section("transfer", transfer.HEADING, transfer.NOTE, transfer.transfer_texts(results.transfer)),
        Section(
            "equivalents", equivalents.HEADING, equivalents.NOTE, equivalents.equivalents_texts(results.equivalents)
        ),
    )
    return tuple(part for part in parts if part.texts)

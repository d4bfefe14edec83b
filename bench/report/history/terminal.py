"""Histories in a terminal: values with a change point first, the others by their last figure."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.report.history.text import APART, NOTE, HistoryText, LineText
from bench.report.terminal import emit


def render_histories(lines: tuple[LineText, ...], console: Console) -> None:
    """Print every line."""
    parts: list[RenderableType] = []
    for line in lines:
        parts += _line(line)
    parts.append(Text(f"\n{NOTE}{f' {APART}' if len(lines) > 1 else ''}", style="dim"))
    emit(Group(*parts), console)


def _line(line: LineText) -> list[RenderableType]:
    first, last = line.runs[0], line.runs[-1]
    span = first.name if first is last else f"{first.name} to {last.name}"
    parts: list[RenderableType] = [Text(f"\n{line.heading}, {span}", style="bold")]
    steady = tuple(history for history in line.histories if not history.changed)
    for heading, those in (("With a change point", line.changed), ("Without", steady)):
        if those:
            parts += [Text(f"\n{heading} ({len(those)})", style="bold"), _table(those)]
    return parts


def _table(histories: tuple[HistoryText, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for history in histories:
        table.add_row(history.network, history.title, Text(history.sentence, style="" if history.changed else "dim"))
    return table

"""The board in a terminal: every table in parts that fit, what is missing, and what must be known."""

from __future__ import annotations

import textwrap

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.report.board.entry_text import MEANINGS, WORDS, EntryText
from bench.report.board.model import Status
from bench.report.board.text import APART, NOTE, BoardText, GroupText, RowText
from bench.report.figures import SIGNS, meanings
from bench.report.leaderboard.marks import Mark
from bench.report.terminal import FIGURE_STYLES, WARNINGS, emit, listing
from bench.report.yardsticks import yardstick_words

NAME_WIDTH = 24
FIGURE_WIDTH = 18
UNSURE = (Status.NULL, Status.SKIPPED, Status.ABSENT, Status.ITSELF)


def render_board(board: BoardText, console: Console) -> None:
    """Print every table; where it is too wide, in parts that repeat the names."""
    parts: list[RenderableType] = [Text(f"\nBoard of {board.headline}", style="bold")]
    for group in board.groups:
        parts += _group(group, console.width)
    parts.append(Text(f"\n{NOTE}{f' {APART}' if len(board.groups) > 1 else ''}", style="dim"))
    said = meanings(yardstick_words("none", 0))
    lines = [f"{SIGNS[mark]} {said[mark]}" for mark in board.marks]
    lines += [
        f"{WORDS[status]}: {MEANINGS[status]}" if status in WORDS else MEANINGS[status] for status in board.statuses
    ]
    if lines:
        parts.append(Text("\n".join(lines), style="dim"))
    emit(Group(*parts), console)


def _group(group: GroupText, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(f"\n{group.heading}", style="bold")]
    fitting = max(1, (width - NAME_WIDTH) // FIGURE_WIDTH)
    for start in range(0, len(group.columns), fitting):
        parts += [Text(""), _table(group, range(start, min(start + fitting, len(group.columns))))]
    lacking = [(f"{text.kind}:", f"{text.what} on {text.where}: {text.reason}") for text in group.without]
    parts += listing("Missing", lacking, "bold")
    if group.sums:
        names = "; ".join(name for name, _ in group.sums)
        parts += listing("Other functions on other processors", [("sums of 8-bit products:", names)], "bold")
    parts += listing("Not the same in all runs", [("·", line) for line in group.remarks], "bold")
    parts += listing(WARNINGS, [(f"! {who}:", text) for who, text in group.warnings], "bold red")
    return parts


def _table(group: GroupText, places: range) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", expand=False)
    table.add_column("", width=NAME_WIDTH, overflow="fold")
    for place in places:
        column = group.columns[place]
        head = Text(column.title).append(f"\n{column.note}" if column.note else "", style="dim")
        table.add_column(head, max_width=FIGURE_WIDTH, overflow="fold")
    run = None
    for row in group.rows:
        if row.run != run:
            run = row.run
            table.add_row(Text("\n".join(textwrap.wrap(run, NAME_WIDTH)), style="bold"))
        table.add_row(_name(row), *(_figure(row.entries[place]) for place in places))
    return table


def _name(row: RowText) -> Text:
    sign = " !" if row.cautions else ""
    name = "\n".join(textwrap.wrap(f"{row.name}{sign}", NAME_WIDTH - 4))
    return Text.assemble(textwrap.indent(name, "  "), (f"\n  {row.place}", "dim"))


def _figure(entry: EntryText) -> Text:
    style = "bold red" if entry.status is Status.ERROR else "italic dim" if entry.status in UNSURE else ""
    text = Text(entry.value, style=style)
    if entry.interval:
        text.append(f"\n{entry.interval}", style="dim")
    for line in entry.lines[1 + bool(entry.interval) :]:
        text.append(f"\n{line}", style=FIGURE_STYLES.get(entry.mark, "") if entry.mark is not Mark.NONE else "dim")
    return text

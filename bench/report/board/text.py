"""The board in words: the texts that terminal and HTML share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.report.board.entry_text import MEANINGS, EntryText, entry_text
from bench.report.board.missing import MissingText, missing
from bench.report.board.model import Board, BoardColumn, BoardRow, Group, Status
from bench.report.board.sums import other_functions
from bench.report.leaderboard.marks import Mark
from bench.wording import parameters_in_words, place_words, plain, title

NOTE: Final = (
    "An entry is the network's own figure with its 95 % interval over the evaluation samples; below a variant's stands "
    "its harm (+ is worse), paired with the reference of its own run, or its ratio to that one's cost. "
    "Rows of different runs are not paired comparisons: whether two of their intervals overlap says little of which is "
    "better. Rows stand in the order given; a sort orders each run by itself, and never ranks one run above another."
)
APART: Final = "Runs of other data, another number of evaluation samples or another kind of processor stand apart."
OF_MEMBERS: Final = {"uncertainty.members": "member "}  # of what a value is, where its own name does not say it
BETTER: Final = {"lower": "lower is better", "higher": "higher is better", "none": ""}
MARKED: Final = (Mark.FAILED, Mark.INCONCLUSIVE, Mark.WORSE, Mark.BETTER)


@dataclass(frozen=True)
class ColumnText:
    """The head of a column."""

    title: str
    note: str  # which way is better, or what it is; its n where that is not of the evaluation split
    name: str  # what --value takes


@dataclass(frozen=True)
class RowText:
    """One row: its run, and its network on a target."""

    run: str
    name: str
    place: str  # target, and the replicate where there are several
    reference: bool
    cautions: tuple[str, ...]
    entries: tuple[EntryText, ...]

    @property
    def network(self) -> str:
        """Name and target."""
        return f"{self.name} ({self.place})"

    @property
    def label(self) -> str:
        """Run, name and target."""
        return f"{self.run}: {self.network}"


@dataclass(frozen=True)
class GroupText:
    """One table with its head and what must be known of it."""

    heading: str
    known: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...]  # whose, and the words
    sums: tuple[tuple[str, str], ...]  # networks that are other functions on other processors
    columns: tuple[ColumnText, ...]
    rows: tuple[RowText, ...]
    without: tuple[MissingText, ...]
    runs: tuple[tuple[str, str, int], ...]  # name, place, number of rows


@dataclass(frozen=True)
class BoardText:
    """The whole board in words."""

    headline: str
    groups: tuple[GroupText, ...]
    left_out: tuple[str, ...]

    @property
    def statuses(self) -> tuple[Status, ...]:
        """The kinds of entries that occur, but plain numbers."""
        found = {entry.status for group in self.groups for row in group.rows for entry in row.entries}
        return tuple(status for status in MEANINGS if status in found)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks that occur."""
        found = {entry.mark for group in self.groups for row in group.rows for entry in row.entries}
        return tuple(mark for mark in MARKED if mark in found)


def board_text(board: Board) -> BoardText:
    """A board in words."""
    runs = sum(len(group.runs) for group in board.groups)
    tables = f"{runs} run{'s' if runs != 1 else ''}"
    if len(board.groups) > 1:
        tables += f" in {len(board.groups)} tables that cannot be joined"
    groups = tuple(_group(group, place, len(board.groups)) for place, group in enumerate(board.groups, 1))
    return BoardText(tables, groups, tuple(map(plain, board.left_out)))


def _group(group: Group, place: int, of: int) -> GroupText:
    sizes = [{line[i].n for line in group.entries if line[i].n is not None} for i in range(len(group.columns))]
    several = [len(size) > 1 for size in sizes]
    rows = tuple(
        RowText(
            run=plain(row.run.name),
            name="reference" if row.variant is None else plain(row.variant),
            place=place_text(row),
            reference=row.variant is None,
            cautions=tuple(map(plain, row.cautions)),
            entries=tuple(
                entry_text(entry, column, n=apart)
                for entry, column, apart in zip(entries, group.columns, several, strict=True)
            ),
        )
        for row, entries in zip(group.rows, group.entries, strict=True)
    )
    columns = tuple(
        column_text(column, fewer_samples(size, group)) for column, size in zip(group.columns, sizes, strict=True)
    )
    cautions: dict[str, list[str]] = {}
    for row in rows:
        for words in row.cautions:
            cautions.setdefault(words, []).append(row.label)
    warnings = [(", ".join(labels), words) for words, labels in cautions.items()]
    warnings += [(plain(run.name), plain(line)) for run, line in group.warnings]
    return GroupText(
        heading=_heading(group, place, of),
        known=tuple((name, plain(text)) for name, text in group.known),
        remarks=tuple(map(plain, group.remarks)),
        warnings=tuple(warnings),
        sums=other_functions(group.runs),
        columns=columns,
        rows=rows,
        without=missing(
            [column.title for column in columns],
            [(row.run, row.network) for row in rows],
            group.entries,
            [row.entries for row in rows],
        ),
        runs=tuple(
            (plain(run.name), plain(run.place), sum(row.run is run for row in group.rows)) for run in group.runs
        ),
    )


def place_text(row: BoardRow) -> str:
    """The target of a row, and its replicate where there are several."""
    words = place_words(row.target, row.replicate, several=row.several)
    return f"{words} (of the recipe)" if row.several and row.replicate is None else words


def _heading(group: Group, place: int, of: int) -> str:
    """What tells a table from the others; where there is but one, what its runs share."""
    wanted = group.differs if of > 1 else ("data", "evaluation samples", "processor")
    texts = ", ".join(f"{name}: {plain(text)}" for name, text in group.known if name in wanted)
    return f"Table {place} of {of}: {texts or 'what its run records is not enough to join it'}" if of > 1 else texts


def fewer_samples(sizes: set[int | None], group: Group) -> str:
    """The number of samples of a column, where all rows have one and it is not that of the evaluation split."""
    data = group.runs[0].results.suite.data
    known = sizes - {None if data is None else data.evaluation}
    return f"n = {next(iter(known))}" if len(sizes) == 1 and known else ""


def column_text(column: BoardColumn, samples: str = "") -> ColumnText:
    """The head of a column; ``samples`` says of how many it is, where that is not of all."""
    words = parameters_in_words(column.apart)
    parts = column.value.split(".")
    name = column.heading or OF_MEMBERS.get(column.metric, "") + " ".join((title(parts[0]), *parts[1:]))
    note = "change from its own reference" if column.like.kind == "change" else BETTER[column.like.better]
    notes = (column.note or note, samples)
    return ColumnText(f"{name} ({words})" if words else name, ", ".join(filter(None, notes)), plain(column.name))

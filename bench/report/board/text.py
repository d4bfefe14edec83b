"""The board in words: the texts that terminal and HTML share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.report.board.model import Against, Board, BoardColumn, BoardRow, Entry, Group, Status
from bench.report.figures import SAME, SIGNS, estimate, figure_of
from bench.report.leaderboard.marks import Mark
from bench.results import ValueResult
from bench.wording import NOTHING, own, own_with_interval, parameters_in_words, plain, significant, title

NOTE: Final = (
    "An entry is the network's own figure with its 95 % interval over the evaluation samples; below a variant's stands "
    "its harm (+ is worse), paired with the reference of its own run, or its ratio to that one's cost. Rows of different "
    "runs are not paired comparisons: whether two of their intervals overlap says little of which is better. "
    "Rows stand in the order given; nothing is ranked."
)
NO_INTERVAL: Final = "no interval"
APART: Final = "Runs of other data, another number of evaluation samples or another kind of processor stand apart."
WORDS: Final[dict[Status, str]] = {
    Status.ITSELF: "itself", Status.NULL: "no figure", Status.SKIPPED: "skipped", Status.ERROR: "error",
    Status.ABSENT: "not measured",
}  # fmt: skip
MEANINGS: Final[dict[Status, str]] = {
    Status.ITSELF: "the reference beside itself: nothing to tell",
    Status.NULL: "measured, and no number exists",
    Status.SKIPPED: "does not apply there",
    Status.ERROR: "measuring failed",
    Status.ABSENT: "not asked for in this run",
    Status.RANGE: "a range: the reference was measured beside each variant anew",
    Status.LIMIT: "≥ ≤ < > about: a bound, not the figure itself",
}
OF_MEMBERS: Final = {"uncertainty.members": "member "}  # of what a value is, where its own name does not say it
BETTER: Final = {"lower": "lower is better", "higher": "higher is better", "none": ""}
MARKED: Final = (Mark.FAILED, Mark.INCONCLUSIVE, Mark.WORSE, Mark.BETTER)


@dataclass(frozen=True)
class EntryText:
    """One figure: its own value and interval, and what stands against the reference."""

    value: str
    interval: str = ""
    against: str = ""
    against_interval: str = ""
    mark: Mark = Mark.NONE
    status: Status = Status.NUMBER

    @property
    def sign(self) -> str:
        """The mark as one character."""
        return SIGNS[self.mark]

    @property
    def lines(self) -> tuple[str, ...]:
        """The figure, its interval, and the comparison, a line each; empty ones left out."""
        against = f"{self.against} {self.against_interval}".strip()
        return tuple(filter(None, (self.value, self.interval, f"{against} {self.sign}".strip())))


@dataclass(frozen=True)
class ColumnText:
    """The head of a column."""

    title: str
    note: str  # which way is better, or what it is
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
    def label(self) -> str:
        """Run, network and target."""
        return f"{self.run}: {self.name} ({self.place})"


@dataclass(frozen=True)
class GroupText:
    """One table with its head and what must be known of it."""

    heading: str
    known: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...]  # whose, and the words
    columns: tuple[ColumnText, ...]
    rows: tuple[RowText, ...]
    missing: tuple[tuple[str, str, str], ...]  # kind; columns and rows; reason
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


def entry_text(entry: Entry, column: BoardColumn, *, reference: bool = False, n: bool = False) -> EntryText:
    """One entry in words; ``n``: rows of the column were measured on different numbers of samples."""
    like = entry.value or column.like
    samples = f" (n = {entry.n})" if n and entry.n is not None else ""
    if entry.status is Status.RANGE and entry.low is not None and entry.high is not None:
        return EntryText(f"{own(like, entry.low)} to {own(like, entry.high)}{samples}", status=entry.status)
    if entry.number is None:
        return EntryText(WORDS.get(entry.status, WORDS[Status.NULL]), mark=entry.mark, status=entry.status)
    if like.kind == "change" and entry.value is not None:
        figure = estimate(entry.value)
        return EntryText(figure.value + samples, figure.interval, mark=figure.mark)
    if entry.status is Status.LIMIT:
        return EntryText(
            f"{entry.side} {_limit(entry, like)}{samples}", "", *_against(entry, column), entry.mark, entry.status
        )
    value, interval = own_with_interval(like, entry.number, (entry.low, entry.high))
    if not interval and not reference and like.kind in ("quality", "pair"):
        interval = NO_INTERVAL
    return EntryText(value + samples, interval, *_against(entry, column), entry.mark)


def _limit(entry: Entry, like: ValueResult) -> str:
    """A bound, rounded away from its claim."""
    number = entry.number or 0.0
    if like.bound is None:
        return own(like, number)
    return figure_of(like, "variant" if like.variant == number else "reference").value.removeprefix(f"{entry.side} ")


def _against(entry: Entry, column: BoardColumn) -> tuple[str, str]:
    """The harm or the ratio to the reference, with its interval; empty where there is none."""
    known = (entry.against, entry.against_low, entry.against_high) != (None, None, None)
    if entry.value is None or column.against is Against.NOTHING or not known:
        return "", ""
    if column.against is Against.RATIO and entry.against is not None:
        return f"{significant(entry.against, 2)}×", ""
    figure = estimate(entry.value)
    return ("", "") if figure.value == NOTHING else (figure.value, figure.interval or _unsure(figure.value))


def _unsure(text: str) -> str:
    """What stands in the place of an interval that does not exist."""
    return "" if text == SAME else NO_INTERVAL


def _group(group: Group, place: int, of: int) -> GroupText:
    several = [len({line[i].n for line in group.entries} - {None}) > 1 for i in range(len(group.columns))]
    rows = tuple(
        RowText(
            run=plain(row.run.name),
            name="reference" if row.variant is None else plain(row.variant),
            place=_place(row),
            reference=row.variant is None,
            cautions=tuple(map(plain, row.cautions)),
            entries=tuple(
                entry_text(entry, column, reference=row.variant is None, n=apart)
                for entry, column, apart in zip(entries, group.columns, several, strict=True)
            ),
        )
        for row, entries in zip(group.rows, group.entries, strict=True)
    )
    columns = tuple(_column(column) for column in group.columns)
    cautions: dict[str, list[str]] = {}
    for row in rows:
        for words in row.cautions:
            cautions.setdefault(words, []).append(row.label)
    warnings = [(", ".join(labels), words) for words, labels in cautions.items()]
    warnings += [(name, rest) for name, _, rest in (plain(line).partition(": ") for line in group.warnings)]
    return GroupText(
        heading=_heading(group, place, of),
        known=tuple((name, plain(text)) for name, text in group.known),
        remarks=tuple(map(plain, group.remarks)),
        warnings=tuple(warnings),
        columns=columns,
        rows=rows,
        missing=_missing(group, columns, rows),
        runs=tuple(
            (plain(run.name), plain(run.place), sum(row.run is run for row in group.rows)) for run in group.runs
        ),
    )


def _place(row: BoardRow) -> str:
    if not row.several:
        return plain(row.target)
    return f"{plain(row.target)}, {'all replicates' if row.replicate is None else f'replicate {row.replicate}'}"


def _heading(group: Group, place: int, of: int) -> str:
    """What tells a table from the others; where there is but one, what its runs share."""
    wanted = group.differs if of > 1 else ("data", "evaluation samples", "processor")
    texts = ", ".join(f"{name}: {plain(text)}" for name, text in group.known if name in wanted)
    return f"Table {place} of {of}: {texts or 'what its run records is not enough to join it'}" if of > 1 else texts


def _column(column: BoardColumn) -> ColumnText:
    words = parameters_in_words(column.apart)
    parts = column.value.split(".")
    name = OF_MEMBERS.get(column.metric, "") + " ".join((title(parts[0]), *parts[1:]))
    note = "change from its own reference" if column.like.kind == "change" else BETTER[column.like.better]
    return ColumnText(f"{name} ({words})" if words else name, plain(column.derived) or note, plain(column.name))


def _missing(group: Group, columns: Sequence[ColumnText], rows: Sequence[RowText]) -> tuple[tuple[str, str, str], ...]:
    """One line for each reason, with everything that it holds for."""
    lacking: dict[tuple[Status, str], dict[str, list[str]]] = {}
    for row, entries in zip(rows, group.entries, strict=True):
        for column, entry in zip(columns, entries, strict=True):
            if entry.status in (Status.ERROR, Status.SKIPPED, Status.NULL, Status.ABSENT):
                places = lacking.setdefault((entry.status, plain(entry.reason)), {})
                places.setdefault(column.title, []).append(row.label)
    order = [Status.ERROR, Status.SKIPPED, Status.NULL, Status.ABSENT]
    lines = []
    for (status, reason), places in sorted(lacking.items(), key=lambda item: order.index(item[0][0])):
        merged: dict[tuple[str, ...], list[str]] = {}
        for name, labels in places.items():
            merged.setdefault(tuple(labels), []).append(name)
        default = "" if status is Status.ABSENT else "no reason was given"
        lines += [
            (WORDS[status], f"{', '.join(names)}, {'; '.join(labels)}", reason or default)
            for labels, names in merged.items()
        ]
    return tuple(lines)

"""The leaderboard in words: the texts that terminal and HTML share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.report.figures import Figure, alarm_words, cost, estimate, figure_of, gap
from bench.report.leaderboard import Column, CostEntry, GapEntry, HarmEntry, Leaderboard, Mark, Missing, Row, State
from bench.report.ratio_text import RatioGroupText, ratio_texts
from bench.report.step_text import steps_text
from bench.report.yardsticks import YardstickWords, yardstick_scale, yardstick_words
from bench.results import Cell
from bench.wording import difference_unit, parameters_in_words, place_words, plain, title

WORDS: dict[State, str] = {
    State.SHIP: "may ship", State.STOP: "do not ship", State.OPEN: "undecided", State.ERROR: "error",
}  # fmt: skip
SIGNS: dict[State, str] = {State.SHIP: "✓", State.STOP: "✗", State.OPEN: "?", State.ERROR: "!"}
UNGATED = "no gate was set"
UNJUDGED = "undecided: no gate was judged"


@dataclass(frozen=True)
class MissingText:
    """Cells or figures that are missing for one and the same reason."""

    kind: str
    what: str
    where: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class ColumnText:
    """The head of a column of harms."""

    title: str
    gated: bool
    interval: bool
    unit: str


@dataclass(frozen=True)
class GapText:
    """A family of one variant on the yardsticks' scale."""

    family: str
    headline: str
    figure: Figure
    alarm_words: str
    numbers: GapEntry

    @property
    def alarming(self) -> bool:
        """Whether the family surely moved further than one further yardstick would."""
        return self.numbers.alarming


@dataclass(frozen=True)
class RowText:
    """One variant on one target."""

    name: str
    target: str  # and the replicate, where there are several
    place: str  # the target alone
    state: State
    because: str
    steps: str
    harms: tuple[Figure, ...]
    gaps: tuple[GapText, ...]
    size: Figure
    latency: Figure
    cells: tuple[Cell, ...] = field(repr=False)

    @property
    def label(self) -> str:
        """Name and target."""
        return f"{self.name} ({self.target})"

    @property
    def reason(self) -> str:
        """The verdict's sentence without the words that name the variant and the verdict."""
        return without_opening(self.because, self.label)


@dataclass(frozen=True)
class ReferenceText:
    """The reference's own figures on one target."""

    target: str
    harms: tuple[Figure, ...]
    size: Figure
    latency: Figure


@dataclass(frozen=True)
class BoardText:
    """All that a report shows at first sight, in words."""

    title: str
    state: State
    because: str
    columns: tuple[ColumnText, ...]
    families: tuple[str, ...]
    references: tuple[ReferenceText, ...]
    rows: tuple[RowText, ...]
    notes: tuple[MissingText, ...]
    yardsticks: str  # what stands at a gap of 1, in a sentence
    yardstick: YardstickWords
    gated: bool
    warnings: tuple[str, ...] = ()
    ratios: tuple[RatioGroupText, ...] = ()

    @property
    def headline(self) -> str:
        """The run in one line, without its name."""
        if not self.rows:
            return "nothing was measured"
        if not self.gated:
            return f"{len({(row.name, row.place) for row in self.rows})} measured, no gate was set"
        return f"{len(self.those(State.SHIP))} of {len(self.rows)} may ship"

    def those(self, state: State | str) -> list[RowText]:
        """The rows of one verdict."""
        return [row for row in self.rows if row.state == state]

    def reasons(self, state: State | str) -> list[tuple[str, list[RowText]]]:
        """The reasons for one verdict, each with all the rows that it holds for."""
        groups: dict[str, list[RowText]] = {}
        for row in self.those(state):
            groups.setdefault(row.reason, []).append(row)
        return list(groups.items())


def without_opening(because: str, label: str) -> str:
    """A verdict's sentence without the words that name the variant and the verdict.

    >>> without_opening("do not ship int8 (edge): accuracy +3.1 points", "int8 (edge)")
    'accuracy +3.1 points'
    """
    openings = (*(f"{word} {label}: " for word in ("do not ship", "undecided on", "error in")), f"{label} may ship: ")
    return next((because.removeprefix(opening) for opening in openings if because.startswith(opening)), because)


def board_text(board: Leaderboard) -> BoardText:
    """A leaderboard in words."""
    rows = tuple(_row(row) for row in board.rows)
    return BoardText(
        title=plain(board.suite),
        state=board.state,
        because=plain(board.because) or UNJUDGED,
        columns=tuple(_column(column) for column in board.columns),
        families=tuple(plain(name) for name in board.families),
        references=tuple(
            ReferenceText(
                target=plain(row.target),
                harms=tuple(Figure() if value is None else figure_of(value, "reference") for value in row.own),
                size=_cost(row.size, "reference"),
                latency=_cost(row.latency, "reference"),
            )
            for row in board.references
        ),
        rows=rows,
        notes=tuple(_missing(item, rows) for item in board.missing),
        yardsticks=yardstick_scale(board.yardstick_kind, board.yardsticks),
        yardstick=yardstick_words(board.yardstick_kind, board.yardsticks),
        gated=board.gated,
        warnings=tuple(plain(line) for line in board.warnings),
        ratios=ratio_texts(board.ratios),
    )


def _column(column: Column) -> ColumnText:
    words = parameters_in_words(column.apart)
    name = f"{title(column.value)} ({words})" if words else title(column.value)
    unit = "" if column.like is None else difference_unit(column.like)
    return ColumnText(name, column.gated, column.interval, unit)


def _row(row: Row) -> RowText:
    return RowText(
        name=plain(row.variant),
        target=place_words(row.target, row.replicate, several=row.several),
        place=plain(row.target),
        state=row.state,
        because=plain(row.because) or UNJUDGED,
        steps=steps_text(row.steps),
        harms=tuple(_harm(harm) for harm in row.harms),
        gaps=tuple(gap_text(item) for item in row.gaps),
        size=_cost(row.size, "variant"),
        latency=_cost(row.latency, "variant"),
        cells=row.cells,
    )


def _harm(harm: HarmEntry) -> Figure:
    if harm.value is not None:
        return estimate(harm.value)
    if harm.status == "absent":
        return Figure(reason="not measured here")
    return Figure(reason=f"{harm.status}: {plain(harm.reason) or 'no reason given'}")


def gap_text(item: GapEntry) -> GapText:
    """A family on the yardsticks' scale in words."""
    if not item.measured:
        return GapText(plain(item.family), "", Figure(reason="not measured here"), "", item)
    limits = None if item.low is None and item.high is None else (item.low, item.high)
    figure = gap(item.gap, limits, item.reason, Mark.ALARM if item.alarming else Mark.NONE)
    headline = "" if item.headline is None else title(item.headline.value)
    return GapText(plain(item.family), headline, figure, alarm_words(item.alarm, item.alarm_value), item)


def _cost(item: CostEntry, side: Any) -> Figure:
    return Figure(reason="not measured here") if item.value is None else cost(item.value, side)


def _missing(item: Missing, rows: tuple[RowText, ...]) -> MissingText:
    where = tuple(rows[index].label for index in item.rows)
    if not item.what:
        return MissingText(item.kind, "every metric", where, "nothing was measured")
    default = "no gap, and no reason was given" if item.kind == "no gap" else "no reason given"
    return MissingText(item.kind, ", ".join(map(plain, item.what)), where, plain(item.reason) or default)

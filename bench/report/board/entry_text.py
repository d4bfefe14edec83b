"""One figure of the board in words: what is no number never looks like one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.report.board.model import Against, BoardColumn, Entry, Status
from bench.report.figures import SAME, SIGNS, estimate, figure_of
from bench.report.leaderboard.marks import Mark
from bench.results import ValueResult
from bench.wording import NOTHING, own, own_with_interval, significant

NO_INTERVAL: Final = "no interval"
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


def entry_text(entry: Entry, column: BoardColumn, *, n: bool = False) -> EntryText:
    """One entry in words; ``n``: rows of the column were measured on different numbers of samples."""
    like = entry.value or column.like
    samples = f" (n = {entry.n})" if n and entry.n is not None else ""
    if entry.status is Status.RANGE and entry.low is not None and entry.high is not None:
        return EntryText(f"{span(own(like, entry.low), own(like, entry.high))}{samples}", status=entry.status)
    if entry.number is None:
        return EntryText(WORDS.get(entry.status, WORDS[Status.NULL]), mark=entry.mark, status=entry.status)
    if like.kind == "change" and entry.value is not None:
        figure = estimate(entry.value)
        return EntryText(figure.value + samples, figure.interval, mark=figure.mark)
    if entry.status is Status.LIMIT:
        shown = f"{entry.side} {_limit(entry, like)}{samples}"
        return EntryText(shown, _beyond(entry), *_against(entry, column), entry.mark, entry.status)
    if entry.low_side or entry.high_side:
        return EntryText(f"{own(like, entry.number)}{samples}", _beyond(entry), mark=entry.mark)
    value, interval = own_with_interval(like, entry.number, (entry.low, entry.high))
    if not interval and like.kind in ("quality", "pair"):
        interval = NO_INTERVAL
    return EntryText(value + samples, interval, *_against(entry, column), entry.mark)


def _beyond(entry: Entry) -> str:
    """An interval of which an end may lie beyond what can be known; empty where there is none.

    >>> from bench.report.board.model import Side
    >>> _beyond(Entry(Status.NUMBER, 3.5, 1.25, 24.0, high_side=Side.ABOVE))
    '[1.2, > 24]'
    """
    if entry.low is None or entry.high is None:
        return ""
    ends = ((entry.low_side, entry.low), (entry.high_side, entry.high))
    return f"[{', '.join(f'{side} {significant(end, 2)}'.strip() for side, end in ends)}]"


def span(low: str, high: str) -> str:
    """Both ends, the unit once.

    >>> span("0.81 ms", "1.27 ms"), span("980 B", "1.2 kB")
    ('0.81 to 1.27 ms', '980 B to 1.2 kB')
    """
    (first, _, unit), (_, _, other) = low.partition(" "), high.partition(" ")
    return f"{first if unit == other else low} to {high}"


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

"""Histories in words and as plots: what terminal and page share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.report.board.entry_text import WORDS, EntryText, entry_text
from bench.report.board.model import BoardRun
from bench.report.history.model import Histories, History, Line
from bench.stats.change_points import LEAST
from bench.wording import own, parameters_in_words, plain, significant, title

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 320.0, 150.0, 8.0, 8.0, 10.0, 10.0
COMMIT: Final = 7  # hexadecimal digits of a commit
NOTE: Final = (
    "A point is a run's own figure with its 95 % interval over the evaluation samples. A change point is where the "
    f"mean steps to another level, by a permutation test at 5 % of each value with {LEAST} runs or more; it needs two "
    "runs on either side, and of values that differ by noise alone one in twenty shows one. A step of three standard "
    "deviations is found in 36 % of series of 8 runs, 87 % of 12 and 95 % of 16."
)
APART: Final = "Runs of another suite, other data, another number of samples or another kind of processor stand apart."


@dataclass(frozen=True)
class RunText:
    """A run: where it was read from, its commit and when it was started."""

    place: str
    commit: str
    started: str

    @property
    def name(self) -> str:
        """The commit, or the folder of a run that knows none."""
        return self.commit or self.place


@dataclass(frozen=True)
class Plot:
    """Places within a picture of ``WIDTH`` by ``HEIGHT``."""

    line: tuple[str, ...]  # points of polylines: a run without a figure interrupts it
    dots: tuple[tuple[float, float], ...]
    whiskers: tuple[tuple[float, float, float], ...]  # x, and the interval's ends
    changes: tuple[float, ...]  # x between two runs
    accepted: tuple[float, ...]  # y
    low: str
    high: str


@dataclass(frozen=True)
class HistoryText:
    """One value of one network."""

    title: str
    network: str
    sentence: str
    changed: bool
    entries: tuple[EntryText, ...]
    plot: Plot | None


@dataclass(frozen=True)
class LineText:
    """Runs that follow each other, what they share, and their values: those with a change point first."""

    heading: str
    known: tuple[tuple[str, str], ...]
    runs: tuple[RunText, ...]
    histories: tuple[HistoryText, ...]

    @property
    def changed(self) -> tuple[HistoryText, ...]:
        """Those with a change point."""
        return tuple(history for history in self.histories if history.changed)


def history_texts(found: Histories) -> tuple[LineText, ...]:
    """Every line in words."""
    return tuple(_line(line) for line in found.lines)


def _line(line: Line) -> LineText:
    runs = tuple(_run(run) for run in line.runs)
    texts = [_history(history, runs) for history in line.histories]
    known = tuple((name, plain(text)) for name, text in line.known)
    heading = f"{plain(line.runs[0].results.suite.name)}: {len(runs)} run{'s' if len(runs) != 1 else ''}"
    return LineText(heading, known, runs, tuple(sorted(texts, key=lambda text: not text.changed)))


def _run(run: BoardRun) -> RunText:
    origin = run.results.run
    assert origin is not None
    commit = (origin.git.commit or "")[:COMMIT]
    return RunText(
        plain(run.place), plain(commit + ("+" if commit and origin.git.dirty else "")), plain(origin.started)
    )


def _history(history: History, runs: Sequence[RunText]) -> HistoryText:
    column = history.column
    entries = tuple(entry_text(entry, column) for entry in history.entries)
    words = parameters_in_words(column.apart)
    name = title(column.value)
    replicate = "" if not history.replicate else f", replicate {history.replicate}"
    network = (
        f"{'reference' if history.variant is None else plain(history.variant)} ({plain(history.target)}{replicate})"
    )
    return HistoryText(
        title=f"{name} ({words})" if words else name,
        network=network,
        sentence=_sentence(history, entries, runs),
        changed=bool(history.changes),
        entries=entries,
        plot=_plot(history),
    )


def _sentence(history: History, entries: Sequence[EntryText], runs: Sequence[RunText]) -> str:
    """The last figure, the steps in the mean, and what was accepted."""

    def figure(number: float) -> str:
        return own(history.column.like, number)

    last = entries[-1]
    shown = last.value if last.value in WORDS.values() else f"{last.value} {last.interval}".strip()
    parts = [f"last {shown}"]
    parts += [
        f"step at {runs[change.index].name}: mean {figure(change.before)} to {figure(change.after)}"
        f" (p = {significant(change.p_value, 2)})"
        for change in history.changes
    ]
    if not history.changes:
        parts.append(history.untested or "no change point")
    parts += [f"accepted {figure(step.figure)} (acceptance {step.accepted})" for step in history.steps]
    return "; ".join(parts)


def _plot(history: History) -> Plot | None:
    numbers = [entry.number for entry in history.entries]
    known = [number for number in numbers if number is not None]
    if not known:
        return None
    ends = [end for entry in history.entries if entry.number is not None for end in (entry.low, entry.high)]
    heights = [*known, *(end for end in ends if end is not None), *(step.figure for step in history.steps)]
    across = _scale(0, max(1, len(numbers) - 1), LEFT, WIDTH - RIGHT)
    up = _scale(min(heights), max(heights), HEIGHT - BOTTOM, TOP)
    pieces: list[list[str]] = [[]]
    for place, number in enumerate(numbers):
        if number is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{across(place):g},{up(number):g}")
    return Plot(
        line=tuple(" ".join(piece) for piece in pieces if len(piece) > 1),
        dots=tuple((across(place), up(number)) for place, number in enumerate(numbers) if number is not None),
        whiskers=tuple(
            (across(place), up(entry.low), up(entry.high))
            for place, entry in enumerate(history.entries)
            if entry.number is not None and entry.low is not None and entry.high is not None
        ),
        changes=tuple(across(change.index - 0.5) for change in history.changes),
        accepted=tuple(up(step.figure) for step in history.steps),
        low=own(history.column.like, min(heights)),
        high=own(history.column.like, max(heights)),
    )


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    """From figures to places, linear; a constant lies in the middle."""
    return lambda figure: round(first + (0.5 if high == low else (figure - low) / (high - low)) * (last - first), 1)

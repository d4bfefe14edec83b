"""The results in a terminal: verdicts, what got worse, how far each family moved, what is missing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.report import figures
from bench.report.board_text import SIGNS, UNGATED, WORDS, BoardText, MissingText, board_text
from bench.report.equivalents import HEADING as EQUIVALENTS_HEADING
from bench.report.equivalents import NOTE as EQUIVALENTS_NOTE
from bench.report.equivalents import equivalents_texts
from bench.report.exemplars import HEADING as EXEMPLARS_HEADING
from bench.report.exemplars import NOTE as EXEMPLARS_NOTE
from bench.report.exemplars import exemplars_texts
from bench.report.figures import Figure
from bench.report.landscape import HEADING as LANDSCAPE_HEADING
from bench.report.landscape import NOTE as LANDSCAPE_NOTE
from bench.report.landscape import landscape_texts
from bench.report.leaderboard import Mark, Order, State, leaderboard
from bench.report.parity import twins
from bench.report.ratio_text import HEADING, NOTE, RatioGroupText
from bench.report.series import HEADING as SERIES_HEADING
from bench.report.series import NOTE as SERIES_NOTE
from bench.report.series import series_texts
from bench.report.transfer import HEADING as TRANSFER_HEADING
from bench.report.transfer import NOTE as TRANSFER_NOTE
from bench.report.transfer import transfer_texts
from bench.report.waterfall import stages_of
from bench.report.waterfall_text import BarText, stages_text
from bench.results import Cell, Results
from bench.wording import coverage_words, is_resampled_harm, plain
from bench.wording_of_sums import sums_lines

STYLES: dict[State, str] = {
    State.SHIP: "bold green", State.STOP: "bold red", State.OPEN: "bold yellow", State.ERROR: "bold red",
}  # fmt: skip
FIGURE_STYLES = {
    Mark.FAILED: "bold red", Mark.INCONCLUSIVE: "yellow", Mark.WORSE: "red", Mark.BETTER: "green",
    Mark.ALARM: "bold red",
}  # fmt: skip
ASCII = str.maketrans("✓✗▲▼≤≥×–²→·…", "+x^v<>x-2>-.")
FIXED_WIDTH = 17 + 14 + 14  # variant, verdict, cost
HARM_WIDTH = 16
SHARE_WIDTH = 10
NAME_WIDTH = 16
WARNINGS = "Warnings: look at these before the figures"
LAST_IS_NEAREST = (State.SHIP, State.OPEN, State.ERROR, State.STOP)


def render(results: Results, console: Console) -> None:
    """Print the leaderboard, the gaps, what is missing, and the verdicts last.

    Two lines a variant (figure, interval), readable from 80 columns on and without colour. Terminals that cannot
    encode a character get its nearest ASCII one.
    """
    board = board_text(leaderboard(results))
    parts: list[RenderableType] = [
        _heading(f"{board.title}: what got worse", "harm in natural units, + is worse, 95 % intervals"),
        _leaderboard(board, console.width),
    ]
    if board.families and board.rows:
        parts += [
            _heading("How far each family moved", f"gap: 0 = same function, {board.yardsticks}"),
            _gaps(board, console.width),
        ]
    parts += ratios([group for group in board.ratios if group.headline])
    parts += [
        *_series(results),
        *_landscape(results),
        *_exemplars(results),
        *_transfer(results, console.width),
        *_equivalents(results),
        *_stages(results, console.width),
    ]
    parts += [_legend(board), *few_samples(results.cells), *_alarms(board), *_twins(results), *_sums(results)]
    parts += [*_notes(board.notes), *_warnings(board.warnings), *_verdicts(board)]
    emit(Group(*parts), console)


def emit(parts: RenderableType, console: Console) -> None:
    """Print; what the terminal cannot encode becomes the nearest ASCII character."""
    encoding = (console.encoding or "").lower()
    if not encoding.startswith("utf"):
        with console.capture() as caught:
            console.print(parts)
        text = caught.get().translate(ASCII)
        console.out(text.encode(encoding or "ascii", "replace").decode(encoding or "ascii"), end="", highlight=False)
        return
    console.print(parts)


def _heading(title: str, note: str) -> Text:
    return Text.assemble("\n", (title, "bold"), "\n", (note, "dim"))


def _table() -> Table:
    return Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", expand=False)


def _figure(figure: Figure) -> Text:
    style = FIGURE_STYLES.get(figure.mark, "")
    first = f"{figure.value} {figure.sign}".strip()
    text = Text(first, style=style)
    if figure.interval:
        text.append(f"\n{figure.interval}", style="dim")
    return text


def _name(name: str, target: str, width: int = NAME_WIDTH) -> Text:
    return Text.assemble(("\n".join(textwrap.wrap(name, width)), "bold"), "\n", (target, "dim"))


def _cost(size: Figure, latency: Figure) -> Text:
    return Text(f"{size}\n{latency}", style="dim")


def _state(state: State) -> Text:
    return Text(f"{SIGNS[state]} {WORDS[state]}", style=STYLES[state])


def _leaderboard(board: BoardText, width: int) -> RenderableType:
    fitting = max(1, (width - FIXED_WIDTH) // HARM_WIDTH)
    table = _table()
    table.add_column("variant", min_width=10, overflow="fold")
    table.add_column("verdict", min_width=9, max_width=13)
    for column in board.columns[:fitting]:
        table.add_column(Text(column.title), max_width=HARM_WIDTH, overflow="fold")
    table.add_column("size, latency", no_wrap=True)
    for row in board.references:
        own = [Text(harm.value, style="dim") for harm in row.harms[:fitting]]
        name = _name("reference", row.target)
        table.add_row(name, Text("own figures", style="dim"), *own, _cost(row.size, row.latency))
    for variant in board.rows:
        harms = [_figure(figure) for figure in variant.harms[:fitting]]
        name = _name(variant.name, variant.target)
        table.add_row(name, _state(variant.state), *harms, _cost(variant.size, variant.latency))
    left = board.columns[fitting:]
    if not left:
        return table
    return Group(table, Text(f"not shown in this width: {', '.join(column.title for column in left)}", style="dim"))


def _gaps(board: BoardText, width: int) -> Table:
    name_width = max(10, min(NAME_WIDTH, width - 13 * len(board.families) - 1))
    table = _table()
    table.add_column("variant", min_width=10, overflow="fold")
    for family in board.families:
        table.add_column(Text(family), max_width=14, overflow="fold")
    for row in board.rows:
        table.add_row(_name(row.name, row.target, name_width), *(_figure(gap.figure) for gap in row.gaps))
    return table


def _stages(results: Results, width: int) -> list[RenderableType]:
    """What each stage adds, one short table for each variant whose suite asks for it."""
    parts: list[RenderableType] = []
    for variant in results.variants:
        stages = stages_of(variant, results.cells)
        if stages is None:
            continue
        text = stages_text(stages)
        replicate = "" if not variant.replicate else f", replicate {variant.replicate}"
        name = f"{plain(variant.name)} ({plain(variant.target)}{replicate}): what each stage adds"
        table = _table()
        table.add_column("stage", min_width=10, max_width=NAME_WIDTH, overflow="fold")
        shown = text.falls[: max(1, (width - NAME_WIDTH) // HARM_WIDTH)]
        for fall in shown:
            table.add_column(Text(fall.title), max_width=HARM_WIDTH, overflow="fold")
        for bars in zip(*(fall.bars[1:] for fall in shown), strict=True):
            table.add_row(_name(bars[0].stage, bars[0].target), *(_added(bar) for bar in bars))
        parts += [_heading(name, "difference of the totals before and after it; * adds most"), table]
        parts += [Text(line, style="dim") for line in text.missing]
    return parts


def _added(bar: BarText) -> Text:
    text = Text(f"{bar.added.value}{' *' if bar.largest else ''}", style="bold" if bar.largest else "")
    return text.append(f"\n{bar.added.interval}", style="dim") if bar.added.interval else text


def _legend(board: BoardText) -> Text:
    used = {figure.mark for row in board.rows for figure in (*row.harms, *(gap.figure for gap in row.gaps))}
    meanings = figures.meanings(board.yardstick)
    words = [f"{figures.SIGNS[mark]} {meaning}" for mark, meaning in meanings.items() if mark and mark in used]
    return Text("\n" + "\n".join(words) if words else "", style="dim")


def listing(title: str, lines: Sequence[tuple[str, str]], style: str) -> list[RenderableType]:
    """Lines with their heads under a title; nothing where there are none."""
    if not lines:
        return []
    body = [Padding(Text.assemble((head, style), f" {rest}"), (0, 0, 0, 2), expand=False) for head, rest in lines]
    return [Text(f"\n{title}", style="bold"), *body]


def ratios(groups: Sequence[RatioGroupText]) -> list[RenderableType]:
    """A line for each variant and the next nearer one, under its family and target."""
    if not groups:
        return []
    parts: list[RenderableType] = [_heading(HEADING, NOTE)]
    for group in groups:
        parts.append(Text(group.title))
        for line in group.lines:
            sure = line.order in (Order.FURTHER, Order.NEARER)
            parts.append(Padding(Text(line.sentence, style="" if sure else "dim"), (0, 0, 0, 2), expand=False))
    return parts


def _series(results: Results) -> list[RenderableType]:
    """A line for each value along each series."""
    texts = series_texts(results.series)
    lines = [Text(f"  {text.place}: {text.title} ({text.meaning}): {text.sentence}") for text in texts]
    return [_heading(SERIES_HEADING, SERIES_NOTE), *lines] if lines else []


def _landscape(results: Results) -> list[RenderableType]:
    """The barriers of each landscape, or why there is none."""
    parts: list[RenderableType] = []
    for text in landscape_texts(results.landscape):
        parts.append(Text(f"{text.title} ({text.place})" + (f": {text.sentence}" if text.sentence else "")))
        parts += [Padding(Text(text.reason, style="dim"), (0, 0, 0, 2))] if text.reason else []
    return [_heading(LANDSCAPE_HEADING, LANDSCAPE_NOTE), *parts] if parts else []


def _exemplars(results: Results) -> list[RenderableType]:
    """The exemplars of each variant, their accuracies and the classes that lose most."""
    parts: list[RenderableType] = []
    for text in exemplars_texts(results.exemplars):
        parts.append(Text(f"{text.title} ({text.place}): {text.sentence}"))
        parts += [Padding(Text(line, style="dim"), (0, 0, 0, 2)) for line in (text.accuracies, text.worst) if line]
    return [_heading(EXEMPLARS_HEADING, EXEMPLARS_NOTE), *parts] if parts else []


def _transfer(results: Results, width: int) -> list[RenderableType]:
    """Each transfer matrix as a table, in parts where it is too wide; columns bear the numbers of rows."""
    parts: list[RenderableType] = []
    fitting = max(1, (width - NAME_WIDTH - 1) // SHARE_WIDTH)
    for text in transfer_texts(results.transfer):
        parts.append(Text(f"{text.title}: {text.attack}" if text.attack else text.title))
        parts += [Text(f"  {text.reason}", style="dim")] if text.reason else []
        for start in range(0, len(text.rows), fitting):
            table = _table()
            table.add_column("made on", min_width=10, overflow="fold")
            for row in text.rows[start : start + fitting]:
                table.add_column(Text(f"{row.number}"), no_wrap=True)
            for row in text.rows:
                shown = row.shares[start : start + fitting]
                shares = [Text(f"{cell.share}\n").append(cell.interval, style="dim") for cell in shown]
                table.add_row(_name(f"{row.number} {row.name}", row.target), *shares)
            parts.append(table)
        parts += [Text(f"  {row.number} {row.name}: {row.reason}", style="dim") for row in text.rows if row.reason]
    return [_heading(TRANSFER_HEADING, TRANSFER_NOTE), *parts] if parts else []


def _equivalents(results: Results) -> list[RenderableType]:
    """What each network is worth, a table a section."""
    parts: list[RenderableType] = []
    for text in equivalents_texts(results.equivalents):
        parts.append(Text(f"{text.title}: {text.pool}" if text.pool else text.title))
        parts += [Text(f"  {text.reason}", style="dim")] if text.reason else []
        table = _table()
        for title in ("network", "worth", "per MB", "per MMAC", "CPU min"):
            table.add_column(title, min_width=10, overflow="fold")
        table.add_column("epochs", justify="right")
        table.add_column("calibrated NLL", justify="right")
        for row in text.rows:
            worth = Text(f"{row.worth}\n").append(row.reason or row.interval, style="dim")
            table.add_row(
                _name(row.name, row.target),
                worth,
                row.per_megabyte,
                row.per_megamac,
                row.cpu_minutes,
                row.epochs,
                row.calibrated_nll,
            )
        parts += [table] if text.rows else []
    return [_heading(EQUIVALENTS_HEADING, EQUIVALENTS_NOTE), *parts] if parts else []


def few_samples(cells: Sequence[Cell]) -> list[RenderableType]:
    """A line on intervals of resampled harms where few samples were measured; the fewest of all cells."""
    sizes = [
        cell.n for cell in cells for value in cell.values.values() if is_resampled_harm(value) and value.ci is not None
    ]
    words = coverage_words(min(sizes)) if sizes else ""
    return [Text(words, style="dim")] if words else []


def _alarms(board: BoardText) -> list[RenderableType]:
    alarms = [(row, gap) for row in board.rows for gap in row.gaps if gap.alarming]
    lines = [(f"! {row.label}", f"{gap.family}: {gap.alarm_words}") for row, gap in alarms]
    return listing(f"Alarms: surely further from the reference than {board.yardstick.further}", lines, "bold red")


def _twins(results: Results) -> list[RenderableType]:
    lines = [(f"{name}:", figures) for name, figures in twins(results.cells)]
    return listing("Twins: gradients come from an import of the graph that runs", lines, "bold")


def _sums(results: Results) -> list[RenderableType]:
    lines = [(f"{name}:", line) for name, line in sums_lines(results.cells)]
    return listing("Sums of 8-bit products", lines, "bold")


def _notes(notes: Sequence[MissingText]) -> list[RenderableType]:
    lines = [(f"{note.kind}:", f"{note.what} on {', '.join(note.where)}: {note.reason}") for note in notes]
    return listing("Missing", lines, "bold")


def _warnings(lines: Sequence[str]) -> list[RenderableType]:
    return listing(WARNINGS, [("!", line) for line in lines], "bold red")


def _verdicts(board: BoardText) -> list[RenderableType]:
    lines = [
        f"{SIGNS[state]} {WORDS[state]}: {', '.join(row.label for row in those)}: {reason.removeprefix(f'{UNGATED}; ')}"
        for state in LAST_IS_NEAREST
        for reason, those in board.reasons(state)
        if reason != UNGATED  # said once, in the last line
    ]
    closing = f"{SIGNS[board.state]} {board.because}"
    if not lines and not board.gated and board.rows:
        return [Text(f"\n{closing}", style=STYLES[board.state])]
    body = [Padding(Text(sentence), (0, 0, 0, 2), expand=False) for sentence in lines]
    return [
        Text("\nVerdict", style="bold"),
        *body,
        Text(f"\n{closing}", style=STYLES[board.state]),
    ]

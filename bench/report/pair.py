"""One pair, or two variants, in a terminal: every value that was measured, reference and variant side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.report.board_text import UNGATED
from bench.report.detail import value_entry
from bench.report.detail_text import value_text
from bench.report.leaderboard.marks import within_arithmetic
from bench.report.leaderboard.ratios import ratio_groups
from bench.report.parity import twins
from bench.report.ratio_text import HEADING, ratio_texts
from bench.report.terminal import FIGURE_STYLES, WARNINGS, emit, few_samples, listing
from bench.results import Cell, Results, ValueResult
from bench.wording import NOTHING, plain, title
from bench.wording_of_sums import caveat, kinds_elsewhere, sums_lines, sums_told

MEANINGS = "change: 0 is the same; harm: + is worse; ratio: variant over reference"
COLUMNS = ("", "reference", "variant", "difference", "95 % interval")
GAP: Final = 2
Row: TypeAlias = tuple[Text, Text, Text, Text, Text]


def render_pair(results: Results, console: Console) -> None:
    """Print every value of every cell, whether or not there are yardsticks; what is missing stands in its place."""
    warned = [] if results.run is None else [("!", plain(line)) for line in results.run.warnings]
    gradients = [(f"{name}:", figures) for name, figures in twins(results.cells)]
    sums = [(f"{name}:", line) for name, line in sums_lines(results.cells)]
    parts = [
        _heading(results),
        *_variants(results.cells, console.width),
        *_beside(results),
        *few_samples(results.cells),
        *listing("Twins: gradients come from an import of the graph that runs", gradients, "bold"),
        *listing("Sums of 8-bit products", [*sums, *_elsewhere(results)], "bold"),
        *listing(WARNINGS, warned, "bold red"),
        Text(f"\n{_closing(results)}", style="bold"),
    ]
    emit(Group(*parts), console)


def _heading(results: Results) -> Text:
    cells = results.cells
    names = " and ".join(plain(name) for name in dict.fromkeys(cell.variant for cell in cells))
    pair = f"{names} against the reference, on {plain(cells[0].target)}" if cells else "nothing"
    data = results.suite.data
    samples = f", {data.evaluation} samples of {plain(data.name)}" if data is not None and data.name else ""
    return Text.assemble("\n", (f"{pair}{samples}", "bold"), "\n", (MEANINGS, "dim"))


def _variants(cells: Sequence[Cell], width: int) -> list[RenderableType]:
    """The table of each variant, under its name where there are two."""
    names = list(dict.fromkeys(cell.variant for cell in cells))
    if len(names) < 2:
        return _metrics(cells, width)
    parts: list[RenderableType] = []
    for name in names:
        parts += [Text(f"\n{plain(name)}", "bold"), *_metrics([cell for cell in cells if cell.variant == name], width)]
    return parts


def _beside(results: Results) -> list[RenderableType]:
    """How many times as far one variant moved as the other, a line for each headline change."""
    groups = ratio_texts(ratio_groups(results))
    lines = [(f"{group.value}:", line.sentence) for group in groups for line in group.lines]
    return listing(f"{HEADING}: changes beside each other, paired 95 % intervals", lines, "bold")


def _metrics(cells: Sequence[Cell], width: int) -> list[RenderableType]:
    """A line for each metric and its rows below; the columns stand in one line over all of them."""
    head: Row = tuple(Text(name, "bold") for name in COLUMNS)  # type: ignore[assignment]
    measured = [cell for cell in cells if cell.status == "ok"]
    rows = {id(cell): [_row(name, value) for name, value in cell.values.items()] for cell in measured}
    everything = [head, *(row for cell_rows in rows.values() for row in cell_rows)]
    widths = [max(row[column].cell_len for row in everything) for column in range(len(head))]
    widths[0] = max(12, min(widths[0], width - sum(widths[1:]) - GAP * (len(head) - 1)))
    parts: list[RenderableType] = [_table([head], widths)]
    for cell in cells:
        given = ", ".join(f"{title(key)} {plain(value)}" for key, value in cell.params.items() if value is not None)
        parts.append(Text.assemble((plain(cell.metric), "bold"), (f"  {given}" if given else "", "dim")))
        if cell.status != "ok":
            said = f"{cell.status}: {plain(cell.reason) or 'no reason given'}"
            parts.append(Padding(Text(said, style="bold red" if cell.status == "error" else "dim"), (0, 0, 0, 2)))
            continue
        parts.append(_table(rows[id(cell)], widths))
        for name, value in cell.values.items():
            if value.ci is None and value.reason and not within_arithmetic(value):
                parts.append(Padding(Text(f"{title(name)}: {plain(value.reason)}", style="dim"), (0, 0, 0, 2)))
    return parts


def _table(rows: Sequence[Row], widths: Sequence[int]) -> Table:
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_header=False, expand=False)
    for index, width in enumerate(widths):
        table.add_column(width=width, justify="right" if 0 < index < len(widths) - 1 else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _row(name: str, value: ValueResult) -> Row:
    row = value_text(value_entry(name, value))
    estimate = row.estimate
    word = "" if estimate.value == NOTHING else f"{row.meaning} "
    style = FIGURE_STYLES.get(estimate.mark, "")
    difference = Text.assemble((word, "dim"), (f"{estimate.value} {estimate.sign}".strip(), style))
    gap = f"gap {row.gap}" if row.gap.value != NOTHING else ""
    interval = Text(" ".join(filter(None, (estimate.interval, gap))))
    return Text(f"  {row.name}"), Text(row.reference.value), Text(row.variant.value), difference, interval


def _elsewhere(results: Results) -> list[tuple[str, str]]:
    """What must be said of a variant that is another function on other processors."""
    lines = []
    for variant in results.variants:
        mine = [cell for cell in results.cells if (cell.variant, cell.target) == (variant.name, variant.target)]
        more = caveat(sums_told(mine), kinds_elsewhere(results.cells, variant.name, variant.target))
        if more:
            lines.append((f"{plain(variant.name)} ({plain(variant.target)}):", more))
    return lines


def _closing(results: Results) -> str:
    gated = any(value.gates for cell in results.cells for value in cell.values.values())
    errors = sum(cell.status == "error" for cell in results.cells)
    failed = f"; {errors} of {len(results.cells)} metrics failed" if errors else ""
    return f"{plain(results.verdict.because) if gated else f'{UNGATED}: nothing is judged'}{failed}"

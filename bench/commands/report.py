"""``crbench report``: several runs joined into one board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import INLINE_PICTURES
from bench.commands.output import json_alone
from bench.commands.several_runs import RUN, complete, load_with_arrays, refuse_run_folder, write_and_show

if TYPE_CHECKING:
    from bench.gate import Run
    from bench.report.board import Board
    from bench.results import RunsBeside


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RUN)
@click.option(
    "-o", "--out", required=True, metavar="DIR", type=RUN, help="Where index.html, board.json and board.csv go."
)
@click.option("--value", "values", multiple=True, metavar="METRIC.VALUE", help="A column; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print board.json on standard output and nothing else.")
@INLINE_PICTURES
@click.option("--quiet", "-q", is_flag=True, help="No table.")
def report(
    runs: tuple[Path, ...], out: Path, values: tuple[str, ...], as_json: bool, inline_pictures: bool, quiet: bool
) -> int:
    """Join several RUNs, folders that crbench run wrote, into one board.

    A row for each run's reference and each variant, in the order given: own figures with their intervals, and harms.
    Runs of other data, another number of evaluation samples or another kind of processor stand in tables of their own.
    Nothing is ranked. Each network of two runs in one table is paired with itself where arrays.npz lies beside both.
    """
    from bench.report.board import board
    from bench.report.board.files import board_csv, board_json
    from bench.report.board.html import render_board_html
    from bench.report.board.text import board_text
    from bench.report.interactive import inline
    from bench.report.pictures import Pictures

    refuse_run_folder(out)
    pictures = Pictures()
    with json_alone(as_json) as say:
        loaded = load_with_arrays(runs)
        given = [(place, run.results) for place, run in loaded]
        joined = board(given, values)
        text = board_text(joined)

        def show() -> None:
            from rich.console import Console

            from bench.report.board.terminal import render_board

            render_board(text, Console())

        files = {
            "board.json": board_json(joined),
            "board.csv": board_csv(joined),
            "index.html": render_board_html(
                given,
                values,
                inline if inline_pictures else pictures.place,
                board=text,
                beside=_beside(joined, dict(loaded)),
            ),
        }
        pictures.write(out)
        write_and_show(out, files, "board.json", say if as_json else None, None if quiet else show)
    return complete(any(group.columns for group in joined.groups))


def _beside(joined: Board, runs: dict[str, Run]) -> list[RunsBeside]:
    """Every two runs of one table in pairs of samples, the later one given beside the earlier one."""
    from itertools import combinations

    from bench.gate import runs_beside

    places = [[run.place for run in group.runs] for group in joined.groups]
    two = (pair for group in places for pair in combinations(group, 2))
    found = (runs_beside((first, runs[first]), (second, runs[second])) for first, second in two)
    return [item for item in found if item is not None]

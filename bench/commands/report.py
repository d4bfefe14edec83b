"""``crbench report``: several runs joined into one board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.output import json_alone
from bench.exit_codes import ExitCode

if TYPE_CHECKING:
    from bench.results import Results

RUN = click.Path(path_type=Path)


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RUN)
@click.option(
    "-o", "--out", required=True, metavar="DIR", type=RUN, help="Where index.html, board.json and board.csv go."
)
@click.option("--value", "values", multiple=True, metavar="METRIC.VALUE", help="A column; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print board.json on standard output and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="No table.")
def report(runs: tuple[Path, ...], out: Path, values: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    """Join several RUNs, folders that crbench run wrote, into one board.

    A row for each run's reference and each variant, in the order given: own figures with their intervals, and harms.
    Runs of other data, another number of evaluation samples or another kind of processor stand in tables of their own.
    Nothing is ranked.
    """
    from bench.report.board import board
    from bench.report.board.files import board_csv, board_json
    from bench.report.board.html import render_board_html
    from bench.report.board.text import board_text
    from bench.store.files import write_atomic

    _free(out)
    with json_alone(as_json) as say:
        joined = board(_loaded(runs), values)
        text, columns = board_text(joined), board_json(joined)
        write_atomic(out / "board.json", columns.encode())
        write_atomic(out / "board.csv", board_csv(joined).encode())
        write_atomic(out / "index.html", render_board_html(text).encode())
        if as_json:
            say(columns)
        elif not quiet:
            from rich.console import Console

            from bench.report.board.terminal import render_board

            render_board(text, Console())
            click.echo(f"\n{out / 'index.html'}")
    if not any(group.columns for group in joined.groups):
        click.echo("crbench: incomplete: no run holds a value", err=True)
        return ExitCode.INCOMPLETE
    return ExitCode.PASS


def _free(out: Path) -> None:
    """Refuse to write over the report of a run."""
    from bench.errors import UserError

    if (out / "results.json").exists():
        raise UserError.at(f"--out {out}", "is the folder of a run, whose report would be lost", "name another folder")


def _loaded(paths: tuple[Path, ...]) -> list[tuple[str, Results]]:
    """Every run with its place; all that is wrong with any is said at once."""
    from bench.errors import Problem, UserError, legible
    from bench.gate import load_run

    loaded: list[tuple[str, Results]] = []
    problems: list[Problem] = []
    first: dict[str, Path] = {}
    for path in paths:
        try:
            results = load_run(path).results
        except UserError as error:
            problems += error.problems
            continue
        if (known := first.setdefault(results.sha256, path)) is not path:
            problems.append(Problem(str(path), f"is the same run as {known}", "name each run once"))
        loaded.append((legible(str(path)), results))
    if problems:
        raise UserError(problems)
    return loaded

"""``crbench report``: several runs joined into one board."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.output import json_alone
from bench.commands.several_runs import RUN, load_runs, refuse_run_folder
from bench.exit_codes import ExitCode


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

    refuse_run_folder(out)
    with json_alone(as_json) as say:
        joined = board(load_runs(runs), values)
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

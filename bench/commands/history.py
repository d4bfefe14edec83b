"""``crbench history``: values over successive runs, with their change points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.output import json_alone
from bench.commands.several_runs import RUN, complete, load_runs, refuse_run_folder, write_and_show

if TYPE_CHECKING:
    from bench.cell_id import CellId
    from bench.report.history import Accepted, Step


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RUN)
@click.option("-o", "--out", required=True, metavar="DIR", type=RUN, help="Where index.html and history.json go.")
@click.option("--value", "values", multiple=True, metavar="METRIC.VALUE", help="A value; may be given several times.")
@click.option(
    "--baseline", "baselines", multiple=True, metavar="FILE", type=RUN, help="A baseline whose levels are shown."
)
@click.option("--json", "as_json", is_flag=True, help="Print history.json on standard output and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="No table.")
def history(
    runs: tuple[Path, ...], out: Path, values: tuple[str, ...], baselines: tuple[Path, ...], as_json: bool, quiet: bool
) -> int:
    """Follow every value of every network over several RUNs, folders that crbench run wrote.

    By the time of their start, with intervals, levels that baselines accepted, and change points from eight runs on.
    Runs of another suite, other data, another number of evaluation samples or another kind of processor stand apart.
    """
    from bench.report.history import histories
    from bench.report.history.files import histories_json
    from bench.report.history.html import render_histories_html
    from bench.report.history.text import history_texts

    refuse_run_folder(out)
    with json_alone(as_json) as say:
        found = histories(load_runs(runs), values, _accepted(baselines))
        texts = history_texts(found)

        def show() -> None:
            from rich.console import Console

            from bench.report.history.terminal import render_histories

            render_histories(texts, Console())

        files = {"history.json": histories_json(found), "index.html": render_histories_html(texts)}
        write_and_show(out, files, "history.json", say if as_json else None, None if quiet else show)
    return complete(any(line.histories for line in found.lines))


def _accepted(paths: tuple[Path, ...]) -> Accepted:
    """The levels that baselines hold, by suite: first and last accepted figures, each once."""
    from bench.gate import load_baseline
    from bench.report.history import Step

    levels: dict[str, dict[tuple[CellId, str], list[Step]]] = {}
    for path in paths:
        known = load_baseline(path)
        of_suite = levels.setdefault(known.suite, {})
        for cell in (*known.first, *known.cells):
            for name, value in cell.values.items():
                if value.figure is not None:
                    steps = of_suite.setdefault((cell.id, name), [])
                    step = Step(cell.accepted, value.figure)
                    steps += [step] if step not in steps else []
    return {
        suite: {of: sorted(steps, key=lambda step: step.accepted) for of, steps in values.items()}
        for suite, values in levels.items()
    }

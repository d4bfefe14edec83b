"""``crbench export``: a run for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.several_runs import RUN, load_runs
from bench.exit_codes import ExitCode

FORMATS = ("csv", "github-benchmark", "bencher")  # bench.report.export.FORMATS, which a test compares


@click.command()
@click.argument("run", metavar="RUN", type=RUN)
@click.option("--to", "form", required=True, type=click.Choice(FORMATS), help="The format.")
@click.option("-o", "--out", metavar="DIR", type=RUN, help="Where its files go; by default beside results.json.")
def export(run: Path, form: str, out: Path | None) -> int:
    """Write the figures of RUN, a folder that crbench run wrote, for another tool.

    csv: values.csv, a line a value, unrounded. github-benchmark: two files for benchmark-action's custom tools, one
    for figures of which less is better and one for the others. bencher: bencher.json, the Bencher Metric Format.
    """
    from bench.report.export import FORMATS as FORMS
    from bench.store.files import write_atomic

    [(_, results)] = load_runs((run,))
    folder = out or (run if run.is_dir() else run.parent)
    for name, text in FORMS[form](results).items():
        write_atomic(folder / name, text.encode())
        click.echo(str(folder / name))
    return ExitCode.PASS

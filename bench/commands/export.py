"""``crbench export``: a run for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.several_runs import RUN, load_runs
from bench.exit_codes import ExitCode

if TYPE_CHECKING:
    from bench.results import Results

MLFLOW = "mlflow"
FORMATS = ("csv", "github-benchmark", "bencher", "parquet", MLFLOW)  # a test compares bench.report.export.FORMATS


@click.command()
@click.argument("run", metavar="RUN", type=RUN)
@click.option("--to", "form", required=True, type=click.Choice(FORMATS), help="The format.")
@click.option("-o", "--out", metavar="DIR", type=RUN, help="Where its files go; by default beside results.json.")
@click.option("--tracking-uri", metavar="URI", help="mlflow: the server's address; else that in MLFLOW_TRACKING_URI.")
@click.option("--experiment", metavar="NAME", help="mlflow: the experiment; by default the name of the suite.")
@click.option("--with-errors", is_flag=True, help="mlflow: send a run of which something failed too.")
def export(
    run: Path, form: str, out: Path | None, tracking_uri: str | None, experiment: str | None, with_errors: bool
) -> int:
    """Write the figures of RUN, a folder that crbench run wrote, for another tool.

    csv: values.csv, a line a value, unrounded. github-benchmark: two files for benchmark-action's custom tools, one
    for figures of which less is better and one for the others. bencher: bencher.json, the Bencher Metric Format.
    parquet: values.parquet, the lines of csv with real types (extra parquet).

    mlflow: no file; a run on an MLflow tracking server, with a nested one for each variant on each target, and
    results.json and index.html as artifacts (extra mlflow). Results are sent once: a run that is there already is
    refused. Where something failed nothing is sent without --with-errors; what failed or was skipped is a tag with its
    reason, never a number. Nothing is sent to any other address.
    """
    from bench.report.export import FORMATS as FORMS
    from bench.store.files import write_atomic

    _fitting(form, out, {"--tracking-uri": tracking_uri, "--experiment": experiment, "--with-errors": with_errors})
    [(_, results)] = load_runs((run,))
    if form == MLFLOW:
        return _to_mlflow(results, tracking_uri, experiment, with_errors)
    folder = out or (run if run.is_dir() else run.parent)
    for name, content in FORMS[form](results).items():
        write_atomic(folder / name, content.encode() if isinstance(content, str) else content)
        click.echo(str(folder / name))
    return ExitCode.PASS


def _fitting(form: str, out: Path | None, of_mlflow: dict[str, str | bool | None]) -> None:
    """Refuse options that the format would not heed."""
    wrong = [name for name, given in of_mlflow.items() if given] if form != MLFLOW else ["--out"] if out else []
    if wrong:
        right = "leave it out" if form == MLFLOW else f"leave it out, or give --to {MLFLOW}"
        raise click.UsageError(f"{wrong[0]} means nothing with --to {form}; {right}")


def _to_mlflow(results: Results, uri: str | None, experiment: str | None, with_errors: bool) -> ExitCode:
    import os

    from bench.errors import UserError
    from bench.gate import results_json
    from bench.report.export.mlflow_runs import failures, mlflow_runs, send, server_of
    from bench.report.html import render_html
    from bench.wording import plain

    named = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not named:
        raise UserError.at("--tracking-uri", "names no server, and MLFLOW_TRACKING_URI is not set", "give one of both")
    server = server_of(named)
    failed = failures(results)
    if failed and not with_errors:
        for line in failed:
            click.echo(f"crbench: error: {plain(line)}", err=True)
        click.echo("crbench: incomplete: nothing was sent; --with-errors sends it, errors as tags", err=True)
        return ExitCode.INCOMPLETE
    files = {"results.json": results_json(results, indent=1) + "\n", "index.html": render_html(results)}
    sent = send(
        mlflow_runs(results), results.sha256, results.run, files, server, experiment or plain(results.suite.name)
    )
    if sent.replaced:
        click.echo(f"crbench: an export of this run was cut short: its {sent.replaced} runs are deleted", err=True)
    if sent.artifacts:
        click.echo(f"crbench: results.json and index.html are {sent.artifacts}", err=True)
    click.echo(sent.url)
    return ExitCode.PASS

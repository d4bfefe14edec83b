"""``crbench run`` and ``crbench check``: a suite, measured or looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import DEVICE, INLINE_PICTURES, NO_CODE, QUIET, STORE, Shard, named_as_typed
from bench.commands.output import json_alone
from bench.commands.showing import show, with_progress
from bench.exit_codes import ExitCode

if TYPE_CHECKING:
    from bench.run_results import RunResults


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
@click.option("--only", metavar="GLOB", help="Cells (variant/target/metric) or variants that match.")
@click.option("--shard", type=Shard(), default="1/1", show_default=True, help="The I-th of N parts of the cells.")
@click.option(
    "--rerun",
    type=click.Choice(["missing", "failed", "always", "never"]),
    default="missing",
    show_default=True,
    help="missing: what is not stored, or failed. failed: only what failed. always: measure all. never: report only.",
)
@click.option("--gate", is_flag=True, help="Exit 1 when a gate against the reference fails.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: reports/NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json on standard output and nothing else.")
@INLINE_PICTURES
@STORE
@DEVICE
@NO_CODE
@QUIET
def run(
    suite: Path, only: str | None, shard: tuple[int, int], rerun: Any, gate: bool,
    out: Path | None, as_json: bool, inline_pictures: bool, store: str, device: str, quiet: bool,
) -> int:  # fmt: skip
    """Measure a suite: train or load, compress, observe, report."""
    from bench.engine.run import Progress
    from bench.gate import exit_code, results_json, why_exit
    from bench.study import Study
    from bench.suite.load import load_suite

    with json_alone(as_json) as say:
        loaded = load_suite(suite)

        def measure(progress: Progress) -> RunResults:
            study = Study(loaded, store, device, rerun=rerun, progress=progress)
            with named_as_typed(only="--only"):
                return study.run(only, shard)

        folder = out or Path("reports") / loaded.name
        measured = with_progress(measure, quiet=quiet or as_json)
        results = measured.save(folder, inline_pictures=inline_pictures)
        if as_json:
            say(results_json(results))
        elif not quiet:
            show(results)
            say(f"{folder / 'results.json'}\n{folder / 'index.html'}")
    if why := why_exit(results, gate):
        click.echo(f"crbench: {why}", err=True)
    return exit_code(results, gate)


@click.command()
@click.argument("suites", nargs=-1, required=True, type=click.Path(path_type=Path))
@STORE
@DEVICE
@NO_CODE
def check(suites: tuple[Path, ...], store: str, device: str) -> int:
    """Validate suites and print their plans: what is stored, what would be measured, what it will cost.

    Exits 3 where a cell would fail, as far as that can be known without training: networks from outside are loaded, and
    ONNX Runtime's tools are tried on them and on stored networks.
    """
    from bench.errors import Problem, UserError
    from bench.study import Study
    from bench.suite.load import load_suite
    from bench.suite.plan_text import describe_suite

    problems: list[Problem] = []
    failing = False
    for path in suites:
        try:
            loaded = load_suite(path)
        except UserError as error:
            problems += [
                Problem(f"{path}: {p.where}" if len(suites) > 1 else p.where, p.what, p.right) for p in error.problems
            ]
            continue
        study = Study(loaded, store, device)
        lines = [*describe_suite(loaded), *study.forecast()]
        foreseen = study.foresee()
        study.close()
        lines += [f"warning: {line}" for line in foreseen.warnings]
        lines += [f"will fail: {line}" for line in foreseen.failures]
        failing = failing or bool(foreseen.failures)
        click.echo("\n".join(lines))
    if problems:
        raise UserError(problems)
    return ExitCode.INCOMPLETE if failing else ExitCode.PASS

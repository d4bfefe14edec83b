"""The command line: parse, call, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from bench import __version__
from bench.commands.regression import baseline, compare, gate
from bench.commands.why_diverged import why_diverged

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.engine.run import Progress
    from bench.results import Results

T = TypeVar("T")
PASS, REGRESSION, USAGE, INCOMPLETE, INTERNAL = 0, 1, 2, 3, 4
STORE = click.option(
    "--store",
    default=lambda: os.environ.get("CRBENCH_STORE", ".crbench"),
    show_default="$CRBENCH_STORE or .crbench",
    metavar="URL",
    help="Folder or fsspec URL that holds networks, observations and cells.",
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="No progress and no table.")
DEVICE = click.option("--device", default="cpu", show_default=True, help="Where torch runs: cpu, cuda, cuda:1, ...")


class _Shard(click.ParamType):  # type: ignore[type-arg]
    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        index, _, count = str(value).partition("/")
        if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
            self.fail(f"{value!r} is not I/N with 1 <= I <= N, such as 1/4", param, ctx)
        return int(index), int(count)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="crbench")
def cli() -> None:
    """Is a compressed network still the same function where trust matters?"""


@cli.command()
@click.argument("suite", type=click.Path(path_type=Path))
@click.option("--only", metavar="GLOB", help="Cells (variant/target/metric) or variants that match.")
@click.option("--engine", type=click.Choice(["inline"]), default="inline", show_default=True)
@click.option("--shard", type=_Shard(), default="1/1", show_default=True, help="The I-th of N parts of the cells.")
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
@STORE
@DEVICE
@QUIET
def run(
    suite: Path, only: str | None, engine: str, shard: tuple[int, int], rerun: Any, gate: bool,
    out: Path | None, as_json: bool, store: str, device: str, quiet: bool,
) -> int:  # fmt: skip
    """Measure a suite: train or load, compress, observe, report."""
    from bench import api
    from bench.engine.run import RunOptions
    from bench.gate import exit_code
    from bench.store.samples import write_samples

    loaded = api.load_suite(suite)
    options = RunOptions(store=store, device=device, only=only, rerun=rerun, shard=shard)
    measured = _with_progress(lambda progress: api.measure(loaded, options, progress), quiet=quiet or as_json)
    results, folder = measured.results, out or Path("reports") / loaded.name
    _write(results, folder)
    write_samples(measured.samples, folder)
    if as_json:
        click.echo(results.model_dump_json(by_alias=True))
    elif not quiet:
        _print(results)
        click.echo(f"{folder / 'results.json'}\n{folder / 'index.html'}")
    return exit_code(results, gate=gate)


def _with_progress(call: Callable[[Progress], T], *, quiet: bool) -> T:
    """Call with a progress line on standard error."""
    from bench.engine.run import Progress

    if quiet:
        return call(Progress())
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading data", total=None)
        return call(
            Progress(
                total=lambda cells: bar.update(task, total=cells),
                cell=lambda cell: bar.update(task, advance=1, description=f"{cell.variant} {cell.metric}"),
                message=lambda text: bar.update(task, description=text),
            )
        )


def _write(results: Results, folder: Path) -> None:
    from bench.report.html import render_html
    from bench.store.files import write_atomic

    write_atomic(folder / "results.json", (results.model_dump_json(by_alias=True, indent=1) + "\n").encode())
    write_atomic(folder / "index.html", render_html(results).encode())


def _print(results: Results) -> None:
    from rich.console import Console

    from bench.report.terminal import render

    render(results, Console())


@cli.command()
@click.argument("suites", nargs=-1, required=True, type=click.Path(path_type=Path))
@STORE
@DEVICE
def check(suites: tuple[Path, ...], store: str, device: str) -> int:
    """Validate suites and print their plans: what is stored, what would be measured, what it will cost."""
    from bench.engine.forecast import forecast
    from bench.errors import Problem, UserError
    from bench.gate.sight import sight
    from bench.suite.load import load_suite
    from bench.suite.render import describe_suite

    problems: list[Problem] = []
    for path in suites:
        try:
            loaded = load_suite(path)
        except UserError as error:
            problems += [
                Problem(f"{path}: {p.where}" if len(suites) > 1 else p.where, p.what, p.right) for p in error.problems
            ]
            continue
        lines = [*describe_suite(loaded), *forecast(loaded, store, device), *sight(loaded, store, device)]
        click.echo("\n".join(lines))
    if problems:
        raise UserError(problems)
    return PASS


@cli.command()
@click.argument("reference")
@click.argument("variant")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="An .npz with x and, if known, y.")
@click.option("--metric", "metrics", multiple=True, metavar='"NAME[k=v,...]"', help="May be given several times.")
@click.option("--bounds", metavar="LO,HI", help="The range of x; default: 0,1 if x lies in it.")
@click.option("--json", "as_json", is_flag=True, help="Print the cells as JSON on standard output and nothing else.")
@DEVICE
@QUIET
def diff(
    reference: str, variant: str, data: Path, metrics: tuple[str, ...], bounds: str | None,
    as_json: bool, device: str, quiet: bool,
) -> int:  # fmt: skip
    """Compare one pair, no suite needed.

    A network is an ONNX file or module:factory[@checkpoint.safetensors]. Without --metric: fidelity, cost and
    the metrics that need no gradient.
    """
    import json

    from bench import api
    from bench.engine.diff import parse_bounds
    from bench.gate import exit_code

    limits = None if bounds is None else parse_bounds(bounds)
    results = _with_progress(
        lambda progress: api.diff(reference, variant, data, metrics, limits, device, progress), quiet=quiet or as_json
    )
    if as_json:
        click.echo(json.dumps({"cells": [cell.model_dump(mode="json") for cell in results.cells]}, allow_nan=False))
    elif not quiet:
        _print(results)
    return exit_code(results, gate=False)


@cli.command("list")
@click.argument("kind", type=click.Choice(["metrics", "steps", "models", "loaders", "runtimes"]))
def list_(kind: str) -> int:
    """What exists: metrics, steps, models, loaders, runtimes."""
    from bench.suite.render import list_names

    rows = list_names(kind)
    width = max(len(name) for name, _ in rows)
    for name, summary in rows:
        click.echo(f"{name:<{width}}  {summary}")
    return PASS


@cli.command()
@click.argument("name")
def describe(name: str) -> int:
    """Parameters, units, values and source of a metric, step, model, loader or runtime."""
    from bench.suite.render import describe as describe_name
    from bench.suite.render import kinds_of

    click.echo("\n\n".join(describe_name(kind, name) for kind in kinds_of(name)))
    return PASS


@cli.command()
@click.argument("cell")
@click.option("--suite", "suite", required=True, type=click.Path(path_type=Path))
@STORE
@DEVICE
def why(cell: str, suite: Path, store: str, device: str) -> int:
    """Why CELL (variant/target/metric) of a suite would be reused, or what changed since it was last measured."""
    from bench.engine.why import why as explain
    from bench.suite.load import load_suite

    for line in explain(load_suite(suite), cell, store, device):
        click.echo(line)
    return PASS


@cli.command()
@click.argument("suite", type=click.Path(path_type=Path))
@STORE
@DEVICE
@QUIET
def weights(suite: Path, store: str, device: str, quiet: bool) -> int:
    """Train SUITE's reference and yardsticks and write them into the folder its reference.weights names."""
    from bench import api

    loaded = api.load_suite(suite)
    written = _with_progress(lambda progress: api.write_weights(loaded, store, device, progress), quiet=quiet)
    for path, size in written:
        click.echo(f"{path}  {size / 1e6:.2f} MB")
    return PASS


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--older-than", default=1.0, show_default=True, metavar="HOURS", help="Spare what is younger.")
@STORE
def gc(dry_run: bool, older_than: float, store: str) -> int:
    """Free the store of what no suite's latest complete run uses."""
    import time

    from bench.store.store import Store

    files, size = Store(store).collect(younger_than=time.time() - older_than * 3600, dry_run=dry_run)
    click.echo(f"{'would free' if dry_run else 'freed'} {files} files, {size / 1e6:.1f} MB")
    return PASS


@cli.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Default: beside it, with suffix .safetensors.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def convert(checkpoint: Path, out: Path | None, force: bool) -> int:
    """Write the weights of a torch.save CHECKPOINT as safetensors; it is read in a process of its own."""
    from bench.models.convert import convert as convert_checkpoint

    written = convert_checkpoint(checkpoint, out, force=force)
    source = f", out of {written.unwrapped}" if written.unwrapped else ""
    click.echo(f"{written.path}: {written.tensors} tensors, {written.parameters} values{source}")
    return PASS


for command in (compare, gate, baseline, why_diverged):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point: exit codes 0 pass, 1 regression, 2 usage, 3 incomplete, 4 internal."""
    sys.exit(run_cli(arguments))


def run_cli(arguments: list[str] | None = None) -> int:
    """Run the command line and answer its exit code; a user's mistake is one line each on standard error."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # threads that spin for long at a barrier make small networks 20 times slower where others use the cores too
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")
    try:
        return int(cli.main(args=arguments, prog_name="crbench", standalone_mode=False) or PASS)
    except click.ClickException as error:
        error.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("crbench: interrupted; what was measured is stored, the same command goes on from there", err=True)
        return INCOMPLETE
    except Exception as error:
        from bench.errors import UserError

        if isinstance(error, UserError):
            for problem in error.problems:
                click.echo(f"crbench: {problem}", err=True)
            return USAGE
        import traceback

        traceback.print_exc()
        click.echo("crbench: internal error; please report it with the lines above", err=True)
        return INTERNAL

"""``crbench compare``, ``gate`` and ``baseline``: is it worse than before?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.commands.output import json_alone
from bench.exit_codes import ExitCode

if TYPE_CHECKING:
    from bench.gate import Baseline, Run
    from bench.results import Comparison, Results

F = TypeVar("F", bound=Callable[..., Any])
BASELINES = Path("reports") / "baselines"
RUN = click.Path(path_type=Path)


def _outputs(command: F) -> F:
    """Options that say where the judgements go."""
    options = (
        click.option("--strict", is_flag=True, help="Fail what is not shown to be no worse, and what is new."),
        click.option("--json", "as_json", is_flag=True, help="Print the judgements as JSON and nothing else."),
        click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write a job summary."),
        click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML."),
        click.option("--github", is_flag=True, help="Print ::error lines for GitHub."),
        click.option("--quiet", "-q", is_flag=True, help="Only the closing line."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("before", metavar="A", type=RUN)
@click.argument("after", metavar="B", type=RUN)
@_outputs
def compare(before: Path, after: Path, strict: bool, **outputs: Any) -> int:
    """Is run B worse than run A? Both are folders that crbench run wrote.

    Every gated value in one word (regressed, improved, same, inconclusive, incomparable, missing, errored), latencies
    too where both were measured on one machine; and how many times as far each variant moved as before, which decides
    nothing. Exits 1 where something regressed, 3 where something is missing.
    """
    return _answered(lambda: _compared(before, after, strict), outputs)


def _compared(before: Path, after: Path, strict: bool) -> tuple[Comparison, Results]:
    from bench.errors import UserError, legible
    from bench.gate import baseline_of, load_run, run_ratios

    first, second = load_run(before, arrays=True), load_run(after, arrays=True)
    if first.results.suite.name != second.results.suite.name:
        names = f"{first.results.suite.name!r} and {second.results.suite.name!r}"
        raise UserError.at(str(after), f"runs of two suites, {names}", "compare runs of one suite")
    assert first.samples is not None
    known = baseline_of(first.results, first.samples, timings=True)
    neither = {cell.id for cell in first.results.left_out}
    held = [cell for cell in second.results.left_out if cell.id not in neither]
    second = second._replace(results=second.results.model_copy(update={"left_out": held}))
    judged = _judged(second, known, legible(f"run {before}"), strict)
    assert second.samples is not None
    ratios = run_ratios(first.results, first.samples, second.results, second.samples)
    return judged.model_copy(update={"ratios": ratios}), second.results


@click.command()
@click.argument("run", type=RUN)
@click.option("--baseline", "file", type=RUN, help="Judge against it; by default gates against the reference decide.")
@_outputs
def gate(run: Path, file: Path | None, strict: bool, **outputs: Any) -> int:
    """Judge a RUN: the folder that crbench run wrote.

    Without --baseline, every gate of the suite against the reference decides. With one: did anything become worse
    since it was accepted, or since it was first accepted, or fail a gate that it did not fail then?
    """
    return _answered(lambda: _gated(run, file, strict), outputs)


def _gated(run: Path, file: Path | None, strict: bool) -> tuple[Comparison, Results]:
    from bench.errors import legible
    from bench.gate import conclude, judge_reference, load_baseline, load_run

    if file is None:
        loaded = load_run(run)
        judged = conclude(loaded.results, judge_reference(loaded.results), "the reference", strict=strict)
        return judged, loaded.results
    known = load_baseline(file)
    name = legible(f"baseline {file.name}, accepted {known.accepted}")
    loaded = load_run(run, arrays=True)
    return _judged(loaded, known, name, strict), loaded.results


def _judged(run: Run, known: Baseline, name: str, strict: bool) -> Comparison:
    from bench.gate import conclude, judge_baseline

    assert run.samples is not None
    return conclude(run.results, judge_baseline(run.results, run.samples, known), name, strict=strict)


def _answered(judge: Callable[[], tuple[Comparison, Results]], outputs: dict[str, Any]) -> int:
    """Judge; write and print what was asked for."""
    with json_alone(outputs["as_json"]) as say:
        comparison, results = judge()
        _show(comparison, results, outputs, say)
    return comparison.exit_code


def _show(comparison: Comparison, results: Results, outputs: dict[str, Any], say: Callable[[str], None]) -> None:
    from bench.report.github import error_lines
    from bench.report.judgement_markdown import summary
    from bench.report.junit import junit
    from bench.store.files import write_atomic

    if outputs["markdown"] is not None:
        write_atomic(outputs["markdown"], summary(comparison, results=results).encode())
    if outputs["junit"] is not None:
        write_atomic(outputs["junit"], junit(comparison))
    if outputs["as_json"]:
        say(comparison.model_dump_json(indent=1))
        return
    if outputs["github"]:
        for line in error_lines(comparison):
            say(line)
    if outputs["quiet"]:
        say(comparison.closing)
    else:
        from rich.console import Console

        from bench.report.judgement_terminal import render

        render(comparison, Console())


@click.group()
def baseline() -> None:
    """Keep and renew what later runs are compared with."""


@baseline.command("accept")
@click.argument("run", type=RUN)
@click.option("-o", "--out", type=RUN, help="Default: reports/baselines/SUITE.json.")
@click.option("--timings", is_flag=True, help="Keep latencies too: for runs on one and the same machine.")
@click.option("--restart", is_flag=True, help="Forget the first figures: the loss since then is accepted as well.")
def accept(run: Path, out: Path | None, timings: bool, restart: bool) -> int:
    """Accept RUN as the baseline: the only command that changes one.

    Gated cells that RUN skipped are accepted so, each by name: a later run with the same skip passes.
    """
    from bench.errors import UserError
    from bench.gate import accept as accept_run
    from bench.gate import incomplete, load_run, write_baseline
    from bench.suite.tables import NAME_PATTERN

    loaded = load_run(run, arrays=True)
    assert loaded.samples is not None
    lines = incomplete(loaded.results)
    if lines:
        click.echo(f"crbench: not accepted, the run is incomplete: {lines[0]} ({len(lines)} in all)", err=True)
        return ExitCode.INCOMPLETE
    if out is None:
        import re

        name = loaded.results.suite.name
        if not re.search(NAME_PATTERN, name):
            raise UserError.at("suite.name", f"{name!r} names no file", "give -o FILE")
        out = BASELINES / f"{name}.json"
    previous = _previous(out, restart)
    accepted = accept_run(loaded.results, loaded.samples, previous, timings=timings, restart=restart)
    size = write_baseline(accepted.baseline, out)
    for word in ("added", "changed", "removed"):
        for cell in getattr(accepted, word):
            click.echo(f"{word}: {cell}")
    for cell in accepted.skipped:
        click.echo(f"accepted as skipped: {cell}")
    kept = len(accepted.baseline.cells) - len(accepted.added) - len(accepted.changed)
    click.echo(
        f"{out}  {size / 1e3:.0f} kB: accepted {accepted.baseline.accepted}, {len(accepted.added)} cells added, "
        f"{len(accepted.changed)} changed, {len(accepted.removed)} removed, {kept} kept"
        + (f", {len(accepted.skipped)} accepted as skipped" if accepted.skipped else "")
    )
    return 0


def _previous(out: Path, restart: bool) -> Baseline | None:
    """The baseline so far; one of an older version is written over by --restart alone, which keeps nothing of it."""
    from bench.gate import OldBaseline, load_baseline

    if not out.exists():
        return None
    try:
        return load_baseline(out)
    except OldBaseline:
        if restart:
            return None
        raise

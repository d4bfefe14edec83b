"""What commands over several runs share: reading them, and keeping their folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.exit_codes import ExitCode

if TYPE_CHECKING:
    from bench.gate import Run
    from bench.results import Results

RUN = click.Path(path_type=Path)


def refuse_run_folder(out: Path) -> None:
    """Refuse to write over the report of a run."""
    from bench.errors import UserError

    if (out / "results.json").exists():
        raise UserError.at(f"--out {out}", "is the folder of a run, whose report would be lost", "name another folder")


def load_runs(paths: tuple[Path, ...]) -> list[tuple[str, Results]]:
    """The results of every run with its place; all that is wrong with any is said at once."""
    return [(place, run.results) for place, run in load_with_arrays(paths)]


def load_with_arrays(paths: tuple[Path, ...]) -> list[tuple[str, Run]]:
    """Every run with its place, and with its arrays where they are; all that is wrong with any is said at once."""
    from bench.errors import Problem, UserError, legible
    from bench.gate import load_run

    loaded: list[tuple[str, Run]] = []
    problems: list[Problem] = []
    first: dict[str, Path] = {}
    for path in paths:
        try:
            run = load_run(path)
        except UserError as error:
            problems += error.problems
            continue
        if (known := first.setdefault(run.results.sha256, path)) is not path:
            problems.append(Problem(str(path), f"is the same run as {known}", "name each run once"))
        loaded.append((legible(str(path)), run))
    if problems:
        raise UserError(problems)
    return loaded


def write_and_show(
    out: Path, files: Mapping[str, str], told: str, say: Callable[[str], None] | None, show: Callable[[], None] | None
) -> None:
    """Write files into a folder, then print one of them, or show it and name the page.

    Args:
        out: the folder.
        files: texts by name, index.html among them.
        told: the name of the one that ``--json`` prints.
        say: prints it; None without ``--json``.
        show: prints tables; None with ``--quiet``.
    """
    from bench.store.files import write_atomic

    for name, text in files.items():
        write_atomic(out / name, text.encode())
    if say is not None:
        say(files[told])
    elif show is not None:
        show()
        click.echo(f"\n{out / 'index.html'}")


def complete(measured: bool) -> ExitCode:
    """Pass, or incomplete, which is said, where no run holds a value."""
    if measured:
        return ExitCode.PASS
    click.echo("crbench: incomplete: no run holds a value", err=True)
    return ExitCode.INCOMPLETE

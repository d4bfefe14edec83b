"""What commands over several runs share: reading them, and keeping their folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bench.results import Results

RUN = click.Path(path_type=Path)


def refuse_run_folder(out: Path) -> None:
    """Refuse to write over the report of a run."""
    from bench.errors import UserError

    if (out / "results.json").exists():
        raise UserError.at(f"--out {out}", "is the folder of a run, whose report would be lost", "name another folder")


def load_runs(paths: tuple[Path, ...]) -> list[tuple[str, Results]]:
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

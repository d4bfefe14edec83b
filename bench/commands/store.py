"""``crbench why`` and ``crbench gc``: what the store holds, and why a cell is or is not in it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from bench.commands.options import DEVICE, NO_CODE, STORE, named_as_typed


@click.command()
@click.argument("cell")
@click.option("--suite", "suite", required=True, type=click.Path(path_type=Path))
@STORE
@DEVICE
@NO_CODE
def why(cell: str, suite: Path, store: str, device: str) -> int:
    """Why CELL (variant/target/metric) of a suite would be reused, or what changed since it was last measured."""
    from bench.study import Study

    study = Study(suite, store, device)
    with named_as_typed(cells="CELL"):
        lines = study.explain(cell)
    for line in lines:
        click.echo(line)
    study.close()
    return 0


class Hours(click.ParamType):  # type: ignore[type-arg]
    """A number of hours, 0 or more."""

    name = "hours"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or the error that click shows."""
        try:
            hours = float(value)
        except ValueError:
            hours = math.nan
        if not 0 <= hours < math.inf:
            self.fail(f"{value!r} is no number of hours, 0 or more", param, ctx)
        return hours


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--older-than", type=Hours(), default=1.0, show_default=True, help="Spare what is younger.")
@STORE
def gc(dry_run: bool, older_than: float, store: str) -> int:
    """Free the store of what no suite's latest complete run uses."""
    import time

    from bench.store.store import Store

    files, size = Store(store).collect(younger_than=time.time() - older_than * 3600, dry_run=dry_run)
    click.echo(f"{'would free' if dry_run else 'freed'} {files} files, {size / 1e6:.1f} MB")
    return 0

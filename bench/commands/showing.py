"""Progress on standard error while measuring, and the results in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.engine.run import Progress
    from bench.results import Results

T = TypeVar("T")


def with_progress(call: Callable[[Progress], T], *, quiet: bool) -> T:
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


def show(results: Results, *, pair: bool = False) -> None:
    """Print the report; of a ``pair`` every value."""
    from rich.console import Console

    if pair:
        from bench.report.pair import render_pair

        render_pair(results, Console())
        return
    from bench.report.terminal import render

    render(results, Console())

"""``crbench why-diverged``: which layer moved the function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import INTEGER_SUMS, NO_CODE, inputs
from bench.commands.output import json_alone

if TYPE_CHECKING:
    from bench.engine.layer_culprits.diagnosis import LayerProgress
    from bench.results import LayerReport
    from bench.runtimes.base import IntegerSums


@click.command("why-diverged")
@click.argument("reference")
@click.argument("variant")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="An .npz with x and, if known, y.")
@click.option("--bounds", metavar="LO,HI", help="The range of x; default: 0,1 if x lies in it.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON on standard output and nothing else.")
@inputs
@INTEGER_SUMS
@NO_CODE
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def why_diverged(
    reference: str, variant: str, data: Path, bounds: str | None, as_json: bool, both_inputs: str | None,
    reference_input: str | None, variant_input: str | None, integer_sums: IntegerSums, quiet: bool,
) -> int:  # fmt: skip
    """Rank the layers of VARIANT by how much of its divergence from REFERENCE each one brings in.

    A network is an ONNX file or module:factory[@checkpoint.safetensors]. Layers are matched by their position in the
    graph and by their shapes. Each layer in turn is computed as in the reference, on the variant's own inputs. First
    stands how much of the divergence arises in the runtime: its graph optimisation, and sums that saturate.
    """
    from bench.engine.layer_culprits import why_diverged as analyse
    from bench.suite.given_pair import COMMAND_LINE, Inputs, parse_bounds

    limits = None if bounds is None else parse_bounds(bounds)
    declared = Inputs(both_inputs, reference_input, variant_input)
    with json_alone(as_json) as say:
        report = _with_bar(
            lambda progress: analyse(
                reference, variant, data, limits, progress, integer_sums, declared, argument_names=COMMAND_LINE
            ),
            quiet=quiet or as_json,
        )
        if as_json:
            say(report.model_dump_json())
            return 0
    from rich.console import Console

    from bench.report.layers import render_layers

    render_layers(report, Console())
    return 0


def _with_bar(call: Callable[[LayerProgress], LayerReport], *, quiet: bool) -> LayerReport:
    """Call with a progress line on standard error."""
    if quiet:
        return call(lambda done, total, name: None)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading", total=None)
        return call(lambda done, total, name: bar.update(task, completed=done, total=total or None, description=name))

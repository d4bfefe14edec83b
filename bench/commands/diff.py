"""``crbench diff``: one pair, no suite needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import DEVICE, INTEGER_SUMS, NO_CODE, QUIET, inputs
from bench.commands.output import json_alone
from bench.commands.showing import show, with_progress

if TYPE_CHECKING:
    from bench.runtimes.base import IntegerSums


@click.command()
@click.argument("reference")
@click.argument("variant")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="An .npz with x and, if known, y.")
@click.option("--metric", "metrics", multiple=True, metavar='"NAME[k=v,...]"', help="May be given several times.")
@click.option("--bounds", metavar="LO,HI", help="The range of x; default: 0,1 if x lies in it.")
@click.option("--json", "as_json", is_flag=True, help="Print the cells as JSON on standard output and nothing else.")
@inputs
@INTEGER_SUMS
@DEVICE
@NO_CODE
@QUIET
def diff(
    reference: str, variant: str, data: Path, metrics: tuple[str, ...], bounds: str | None,
    as_json: bool, both_inputs: str | None, reference_input: str | None, variant_input: str | None,
    integer_sums: IntegerSums, device: str, quiet: bool,
) -> int:  # fmt: skip
    """Compare one pair, no suite needed.

    A network is an ONNX file or module:factory[@checkpoint.safetensors]. Without --metric: fidelity, cost and
    the metrics that need no gradient.
    """
    import json

    from bench import api
    from bench.gate import exit_code, why_exit
    from bench.suite.given_pair import COMMAND_LINE, Inputs, given_pair, parse_bounds

    limits = None if bounds is None else parse_bounds(bounds)
    declared = Inputs(both_inputs, reference_input, variant_input)
    with json_alone(as_json) as say:
        pair = given_pair(
            reference, variant, data,
            metrics=metrics, bounds=limits, integer_sums=integer_sums, inputs=declared, argument_names=COMMAND_LINE,
        )  # fmt: skip
        results = with_progress(
            lambda progress: api.measure_pair(pair, device=device, progress=progress), quiet=quiet or as_json
        )
        if as_json:
            say(json.dumps({"cells": [cell.model_dump(mode="json") for cell in results.cells]}, allow_nan=False))
        elif not quiet:
            show(results, pair=True)
    if why := why_exit(results, gate=False):
        click.echo(f"crbench: {why}", err=True)
    return exit_code(results, gate=False)

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
@click.option("--beside", metavar="OTHER", help="A second variant of REFERENCE: which of both is nearer to it?")
@click.option("--metric", "metrics", multiple=True, metavar='"NAME[k=v,...]"', help="May be given several times.")
@click.option("--bounds", metavar="LO,HI", help="The range of x; default: 0,1 if x lies in it.")
@click.option("--json", "as_json", is_flag=True, help="Print the cells as JSON on standard output and nothing else.")
@inputs
@click.option("--beside-input", metavar="KEY=VALUE,...", help="The second variant alone; else as the reference.")
@INTEGER_SUMS
@DEVICE
@NO_CODE
@QUIET
def diff(
    reference: str, variant: str, data: Path, beside: str | None, metrics: tuple[str, ...], bounds: str | None,
    as_json: bool, both_inputs: str | None, reference_input: str | None, variant_input: str | None,
    beside_input: str | None, integer_sums: IntegerSums, device: str, quiet: bool,
) -> int:  # fmt: skip
    """Compare one pair, no suite needed.

    A network is an ONNX file or module:factory[@checkpoint.safetensors]. Without --metric: fidelity, cost and
    the metrics that need neither gradients nor many passes a sample. With --beside also: how many times as far one
    variant moved as the other.
    """
    import json

    from bench import api
    from bench.gate import exit_code, why_exit
    from bench.suite.given_pair import COMMAND_LINE, Inputs, given_pair, parse_bounds

    limits = None if bounds is None else parse_bounds(bounds)
    declared = Inputs(both_inputs, reference_input, variant_input, beside_input)
    with json_alone(as_json) as say:
        pair = given_pair(
            reference, variant, data,
            metrics=metrics, bounds=limits, integer_sums=integer_sums, inputs=declared, argument_names=COMMAND_LINE,
            beside=beside,
        )  # fmt: skip
        results = with_progress(
            lambda progress: api.measure_pair(pair, device=device, progress=progress), quiet=quiet or as_json
        )
        if as_json:
            cells, ratios = (
                [item.model_dump(mode="json") for item in items] for items in (results.cells, results.variant_ratios)
            )
            say(json.dumps({"cells": cells, "variant_ratios": ratios}, allow_nan=False))
        elif not quiet:
            show(results, pair=True)
    if why := why_exit(results, gate=False):
        click.echo(f"crbench: {why}", err=True)
    return exit_code(results, gate=False)

"""``crbench lipschitz``: bounds of one network's Lipschitz constant, no suite needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import KEYS, NO_CODE
from bench.commands.output import json_alone

if TYPE_CHECKING:
    from bench.engine.lipschitz import Domain
    from bench.functional.lipschitz.certificate import LipschitzBound, Norm
    from bench.functional.lipschitz.methods import Skipped


@click.command("lipschitz")
@click.argument("model")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="One method, or all; may be given again.")
@click.option(
    "--norm", type=click.Choice(["l2", "linf"]), default="l2", show_default=True, help="Of inputs and logits."
)
@click.option(
    "--domain",
    type=click.Choice(["global", "box", "ball"]),
    default="global",
    show_default=True,
    help="Between any two inputs, two within the bounds, or two within --radius of a sample.",
)
@click.option("--radius", type=float, help="Of the balls about the first samples, in l2 and the units of x.")
@click.option("--data", type=click.Path(path_type=Path), help="An .npz with x: where bounds from below begin.")
@click.option("--shape", metavar="C,H,W", help="Of one sample, where there is no --data.")
@click.option("--bounds", metavar="LO,HI", help="The range of x; default: 0,1 if x lies in it.")
@click.option("--input", "declared", metavar="KEY=VALUE,...", help=f"How the network takes its input, {KEYS}.")
@click.option("--budget", default=60.0, show_default=True, help="Seconds for each method that can stop early.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON on standard output and nothing else.")
@NO_CODE
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def lipschitz(
    model: str, methods: tuple[str, ...], norm: Norm, domain: Domain, radius: float | None, data: Path | None,
    shape: str | None, bounds: str | None, declared: str | None, budget: float, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Bound how fast the logits of MODEL can change with its input, per unit of the user's input.

    MODEL is an ONNX file or module:factory[@checkpoint.safetensors]. 'certified' is never below the constant, 'lower'
    never above it; a network whose activations are rounded has no finite constant and is refused.
    """
    from bench.engine.lipschitz import lipschitz_of
    from bench.functional.lipschitz.methods import METHODS
    from bench.suite.given_pair import Inputs, parse_bounds

    chosen = tuple(METHODS) if "all" in methods else methods
    with json_alone(as_json) as say:
        found, skipped = lipschitz_of(
            model, data, shape=None if shape is None else parse_shape(shape), norm=norm, methods=chosen, budget=budget,
            domain=domain, radius=radius,
            bounds=None if bounds is None else parse_bounds(bounds), inputs=Inputs(both=declared),
            progress=None if quiet or as_json else lambda name: click.echo(f"{name} ...", err=True),
        )  # fmt: skip
        if as_json:
            say(json.dumps(_as_json(found, skipped)))
            return 0
    _table(found, skipped)
    return 0


def parse_shape(text: str) -> tuple[int, ...]:
    """Positive whole numbers, such as ``1,28,28``.

    >>> parse_shape("1,28,28")
    (1, 28, 28)
    """
    from bench.errors import UserError

    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UserError.at("--shape", f"{text!r} is no shape", "give whole numbers such as 1,28,28")
    return tuple(int(part) for part in parts)


def _as_json(found: list[LipschitzBound], skipped: list[Skipped]) -> dict[str, object]:
    return {
        "bounds": [
            {
                "method": bound.method, "kind": bound.kind, "norm": bound.norm, "domain": bound.domain,
                "value": bound.value, "seconds": round(bound.seconds, 3), "slack": bound.slack, "note": bound.note,
                "layers": [layer.__dict__ for layer in bound.layers],
            }
            for bound in found
        ],
        "skipped": [item._asdict() for item in skipped],
    }  # fmt: skip


def _table(found: list[LipschitzBound], skipped: list[Skipped]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from bench.functional.lipschitz.certificate import enclosing

    table = Table("method", "kind", "norm", "domain", "value", "seconds", "note", box=None)
    for bound in found:
        figures = f"{bound.value:.6g}", f"{bound.seconds:.1f}"
        table.add_row(bound.method, bound.kind, bound.norm, escape(bound.domain), *figures, escape(bound.note))
    console = Console()
    console.print(table)
    lower, certified = enclosing(found)
    if lower is not None and certified is not None and lower.value > 0:
        ends, factor = f"[{lower.value:.6g}, {certified.value:.6g}]", certified.value / lower.value
        console.print(f"the constant lies in {ends}: a factor of {factor:.3g}")
    for item in skipped:
        console.print(f"{item.method}: not for this network: {item.reason}", markup=False, style="dim")

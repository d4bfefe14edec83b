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
@click.option(
    "--scale", "scales", multiple=True, metavar="R",
    help="Bound pairs of inputs at least R apart too, such as 0.1 or 1/255; may be given again. Default, of a network"
    " that rounds: 1/255 of the range of x.",
)  # fmt: skip
@click.option("--budget", default=60.0, show_default=True, help="Seconds for each method that can stop early.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON on standard output and nothing else.")
@NO_CODE
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def lipschitz(
    model: str, methods: tuple[str, ...], norm: Norm, domain: Domain, radius: float | None, data: Path | None,
    shape: str | None, bounds: str | None, declared: str | None, scales: tuple[str, ...], budget: float,
    as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Bound how fast the logits of MODEL can change with its input, per unit of the user's input.

    MODEL is an ONNX file or module:factory[@checkpoint.safetensors]. 'certified' is never below the constant, 'lower'
    never above it. A network whose activations are rounded has no finite constant: it is bounded at a scale, between
    inputs that are so far apart; what is said of its 'surrogate', without rounding, is no bound of itself.
    """
    from bench.engine.lipschitz import lipschitz_of
    from bench.functional.lipschitz.methods import METHODS
    from bench.suite.given_pair import Inputs, parse_bounds

    chosen = tuple(METHODS) if "all" in methods else methods
    with json_alone(as_json) as say:
        found, skipped = lipschitz_of(
            model, data, shape=None if shape is None else parse_shape(shape), norm=norm, methods=chosen, budget=budget,
            domain=domain, radius=radius, scales=tuple(map(parse_scale, scales)),
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


def parse_scale(text: str) -> float:
    """A distance, as a number or a fraction.

    >>> parse_scale("1/4")
    0.25
    """
    from fractions import Fraction

    from bench.errors import UserError

    try:
        return float(Fraction(text.strip()))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UserError.at(
            "--scale", f"{text!r} is no distance", "give a number above 0, such as 0.1 or 1/255"
        ) from None


def _as_json(found: list[LipschitzBound], skipped: list[Skipped]) -> dict[str, object]:
    return {
        "bounds": [
            {
                "method": bound.method, "kind": bound.kind, "norm": bound.norm, "domain": bound.domain,
                "of": bound.of, "scale": bound.scale or None,
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
    constants = [("the constant", "network", 0.0), ("the constant of the surrogate", "surrogate", 0.0)]
    constants += [(f"the constant of pairs at least {r:.6g} apart", "network", r) for r in _scales(found)]
    for what, of, scale in constants:
        lower, certified = enclosing(found, of, scale)
        if lower is not None and certified is not None and lower.value > 0:
            ends, factor = f"[{lower.value:.6g}, {certified.value:.6g}]", certified.value / lower.value
            console.print(f"{what} lies in {ends}: a factor of {factor:.3g}")
    if any(bound.of == "surrogate" for bound in found):
        console.print("the network rounds: it has no finite constant of its own")
    for item in skipped:
        console.print(f"{item.method}: not for this network: {item.reason}", markup=False, style="dim")


def _scales(found: list[LipschitzBound]) -> list[float]:
    return sorted({bound.scale for bound in found if bound.scale})

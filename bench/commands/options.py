"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _keeping_downloads(context: click.Context, parameter: click.Parameter, store: str) -> str:
    """Downloads go into the store for as long as the command runs."""
    from bench.data.downloads import kept_in

    context.with_resource(kept_in(store))
    return store


STORE = click.option(
    "--store",
    callback=_keeping_downloads,
    default=lambda: os.environ.get("CRBENCH_STORE", ".crbench"),
    show_default="$CRBENCH_STORE or .crbench",
    metavar="URL",
    help="Folder or fsspec URL that holds networks, observations and cells.",
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="No progress and no table.")
INTEGER_SUMS = click.option(
    "--integer-sums",
    type=click.Choice(["native", "exact", "saturating"]),
    default="native",
    show_default=True,
    help="How ONNX Runtime sums 8-bit products: as this processor does, exactly, or as x86 without VNNI does.",
)
KEYS = "such as layout=NHWC,dtype=uint8,scale=255,mean=[0.5],std=[0.25],output=probabilities"


@contextmanager
def named_as_typed(**names: str) -> Iterator[None]:
    """Errors that name arguments of a function name what was typed instead.

    >>> from bench.errors import UserError
    >>> with named_as_typed(only="--only"):
    ...     raise UserError.at("only", "no cell matches 'a'")
    Traceback (most recent call last):
    bench.errors.UserError: --only: no cell matches 'a'
    """
    from bench.errors import Problem, UserError

    try:
        yield
    except UserError as error:
        if not any(problem.where in names for problem in error.problems):
            raise
        typed = [
            Problem(names.get(problem.where, problem.where), problem.what, problem.right) for problem in error.problems
        ]
        raise UserError(typed) from error


def inputs(command: F) -> F:
    """Options that say how two networks take their input."""
    both = f"How both networks take their input, {KEYS}: the keys of input in a suite."
    options = (
        click.option("--input", "both_inputs", metavar="KEY=VALUE,...", help=both),
        click.option("--reference-input", metavar="KEY=VALUE,...", help="The reference alone."),
        click.option("--variant-input", metavar="KEY=VALUE,...", help="The variant alone; else as the reference."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _without_code(context: click.Context, parameter: click.Parameter, refused: bool) -> bool:
    """Refuse code of others for as long as the command runs."""
    from bench.registry import refusing_code

    if refused:
        context.with_resource(refusing_code())
    return refused


NO_CODE = click.option(
    "--no-code",
    is_flag=True,
    expose_value=False,
    callback=_without_code,
    help="Refuse what imports code of others: module:object, timm: and its like, entry points.",
)
DEVICE = click.option("--device", default="cpu", show_default=True, help="Where torch runs: cpu, cuda, cuda:1, ...")

INLINE_PICTURES = click.option(
    "--inline-pictures", is_flag=True, help="Pictures of samples stand within the page, not in pictures/ beside it."
)


class Shard(click.ParamType):  # type: ignore[type-arg]
    """One of several equal parts of the cells: ``I/N``."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """(I, N), or the error that click shows."""
        if isinstance(value, tuple):
            return value
        index, _, count = str(value).partition("/")
        if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
            self.fail(f"{value!r} is not I/N with 1 <= I <= N, such as 1/4", param, ctx)
        return int(index), int(count)

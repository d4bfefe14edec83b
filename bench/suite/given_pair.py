"""A pair of networks and samples as a user hands them in, checked and made objects."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from bench.data.arrays import array_samples
from bench.data.base import Samples
from bench.data.npz import read_npz
from bench.errors import UserError, legible
from bench.metrics.base import Metric
from bench.runtimes.base import IntegerSums
from bench.suite.given_input import parse_input
from bench.suite.given_metric import as_metrics
from bench.suite.given_network import as_network
from bench.suite.suite import Outside

Declared: TypeAlias = str | Mapping[str, Any] | None


class ArgumentNames(NamedTuple):
    """The names that errors give to each argument: those of Python, or of the command line."""

    reference: str = "reference"
    variant: str = "variant"
    yardsticks: str = "yardsticks"
    metrics: str = "metrics"
    bounds: str = "bounds"
    data: str = "x"
    integer_sums: str = "integer_sums"
    input: str = "inputs"
    reference_input: str = "inputs.reference"
    variant_input: str = "inputs.variant"
    beside: str = "beside"
    beside_input: str = "inputs.beside"


PYTHON: Final = ArgumentNames()
COMMAND_LINE: Final = ArgumentNames(
    "REFERENCE", "VARIANT", "yardsticks", "--metric", "--bounds", "data", "--integer-sums",
    "--input", "--reference-input", "--variant-input", "--beside", "--beside-input",
)  # fmt: skip


class Inputs(NamedTuple):
    """The declared inputs: ``both``, or each; without its own a variant has the reference's.

    ``beside`` is of the second variant. Each is a text such as ``layout=NHWC,scale=255`` or a mapping of the same keys.
    """

    both: Declared = None
    reference: Declared = None
    variant: Declared = None
    beside: Declared = None

    def declared(self, argument_names: ArgumentNames = COMMAND_LINE) -> tuple[dict[str, Any], ...]:
        """Read the inputs of the reference, the variant and the second variant as ``InputSpec.canonical`` has them."""
        first = self.both if self.reference is None else self.reference
        each = (first, *(first if item is None else item for item in (self.variant, self.beside)))
        names = (
            argument_names.reference_input if self.reference is not None else argument_names.input,
            argument_names.variant_input,
            argument_names.beside_input,
        )
        return tuple({} if item is None else parse_input(item, name) for item, name in zip(each, names, strict=True))


UNDECLARED: Final = Inputs()


@dataclass(frozen=True, eq=False)
class GivenPair:
    """A reference and a variant, the samples that both are shown, and what is asked of them."""

    reference: Outside
    variant: Outside
    samples: Samples
    bounds: tuple[float, float]
    data: str  # what the samples are called
    file: Path | None = None  # where they lie
    metrics: tuple[Metric, ...] = ()
    yardsticks: tuple[Outside, ...] = ()
    integer_sums: IntegerSums = "native"
    argument_names: ArgumentNames = PYTHON
    beside: Outside | None = None  # a second variant


def given_pair(
    reference: Any,
    variant: Any,
    x: Any,
    y: Any = None,
    *,
    metrics: Sequence[Any] = (),
    yardsticks: Sequence[Any] = (),
    bounds: tuple[float, float] | None = None,
    integer_sums: IntegerSums = "native",
    inputs: Inputs = UNDECLARED,
    argument_names: ArgumentNames = PYTHON,
    beside: Any = None,
) -> GivenPair:
    """Read what was given; nothing is loaded but the samples.

    Args:
        reference: a network, as ``bench.network`` takes it.
        variant: another one.
        x: samples (n, ...), or the path of an ``.npz`` with ``x`` and, if known, ``y``.
        y: labels (n,), if known.
        metrics: names, ``name[parameter=value,...]``, or objects; by default all that need neither gradients nor many
            forward passes a sample.
        yardsticks: networks as good as the reference.
        bounds: the range of ``x``; by default (0, 1) if ``x`` lies in it.
        integer_sums: how ONNX Runtime sums 8-bit products.
        inputs: how the networks take their input; what ``bench.network`` says of one of them goes before.
        argument_names: what errors call each of these.
        beside: a second variant of the reference, to be compared with the first.

    Raises:
        UserError: whatever is wrong in what was given.
    """
    samples, limits = _samples(x, y, bounds, argument_names)
    first, second, third = inputs.declared(argument_names)
    if beside is None and inputs.beside is not None:
        raise UserError.at(argument_names.beside_input, "there is no second variant", f"give {argument_names.beside}")
    networks = [
        _declared(as_network(given, where), declared)
        for given, where, declared in (
            (reference, argument_names.reference, first),
            (variant, argument_names.variant, second),
            *([] if beside is None else [(beside, argument_names.beside, third)]),
            *((item, argument_names.yardsticks, first) for item in yardsticks),
        )
    ]
    chosen = as_metrics(metrics, argument_names.metrics, labelled=samples.y is not None)
    for metric in chosen:
        if metric.too_many(len(samples)):
            what = f"samples={metric.samples} asked, {_named(x, 'x')} has {len(samples)}"
            raise UserError.at(argument_names.metrics, what)
    file = Path(x) if is_path(x) else None
    name = "arrays" if file is None else legible(file.name)
    second_variant = None if beside is None else networks.pop(2)
    return GivenPair(
        networks[0], networks[1], samples, limits, name, file, chosen, tuple(networks[2:]), integer_sums,
        argument_names, second_variant,
    )  # fmt: skip


def is_path(x: Any) -> bool:
    """Whether samples are given as a file."""
    return isinstance(x, str | os.PathLike)


def _named(x: Any, name: str) -> str:
    return str(x) if is_path(x) else name


def _declared(network: Outside, declared: dict[str, Any]) -> Outside:
    return network if network.input else replace(network, input=declared)


def _samples(
    x: Any, y: Any, bounds: tuple[float, float] | None, argument_names: ArgumentNames
) -> tuple[Samples, tuple[float, float]]:
    """The samples and the range in which they may lie."""
    limits = None if bounds is None else checked_bounds(bounds, argument_names.bounds)
    allowed = limits or (-np.inf, np.inf)
    if not is_path(x):
        samples = array_samples(x, y, allowed)
    elif y is not None:
        what = f"labels beside the file {x}, which holds its own"
        raise UserError.at("y", what, "leave y out; metrics, bounds and the like are given by name")
    else:
        samples = read_npz(Path(x), allowed)
    if limits is None:
        low, high = float(samples.x.min()), float(samples.x.max())
        if low < 0 or high > 1:
            form = "as LO,HI" if argument_names is COMMAND_LINE else "as (low, high)"
            raise UserError.at(
                argument_names.bounds, f"x lies in [{low:g}, {high:g}]", f"say which range is valid, {form}"
            )
        limits = (0.0, 1.0)
    return samples, limits


def parse_bounds(text: str) -> tuple[float, float]:
    """Two finite numbers from the text ``LO,HI``.

    >>> parse_bounds("0,255")
    (0.0, 255.0)
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError.at("--bounds", f"{text!r} is not LO,HI", "give two numbers such as 0,1") from None
    return checked_bounds((low, high), "--bounds", text)


def checked_bounds(bounds: tuple[float, float], where: str, text: str = "") -> tuple[float, float]:
    """A range of two finite numbers, the lower first; anything else raises ``UserError``.

    ``text`` is what a command line gave.
    """
    form, such = ("LO,HI with LO < HI", "0,1") if text else ("(low, high) with low < high", "(0, 1)")
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        raise UserError.at(where, f"{bounds!r} is no range", f"give two numbers such as {such}") from None
    if not (isfinite(low) and isfinite(high)):
        raise UserError.at(where, f"{text or bounds!r} is not finite", f"give two numbers such as {such}")
    if not low < high:
        raise UserError.at(where, f"{low:g} is not below {high:g}", f"give {form}")
    return low, high

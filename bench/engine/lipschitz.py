"""Lipschitz bounds of one network, however it is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from bench.canonical_form.trace import canonical_form
from bench.engine.diff import pair_suite
from bench.engine.intake import take_in_beside
from bench.errors import NotApplicable, UserError
from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.methods import METHODS, Skipped, lipschitz_bounds
from bench.functional.lipschitz.regions import around
from bench.probes.base import TRIAL, Context
from bench.probes.gradient_view import gradient_view
from bench.registry import nearest
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.suite.given_network import GivenNetwork, as_network
from bench.suite.given_pair import UNDECLARED, ArgumentNames, Inputs, given_pair

MODEL = ArgumentNames(
    reference="MODEL", variant="MODEL", beside="MODEL", bounds="--bounds", metrics="--method", yardsticks="MODEL",
    input="--input", reference_input="--input", variant_input="--input", beside_input="--input",
    integer_sums="--integer-sums",
)  # fmt: skip
Domain: TypeAlias = Literal["global", "box", "ball"]
SHAPE = "give --shape 1,28,28 or --data x.npz"
BALLS = 8  # samples about which balls are bounded
ROWS = 16  # random samples where none are given


def lipschitz_of(
    network: GivenNetwork,
    x: Any = None,
    *,
    shape: tuple[int, ...] | None = None,
    bounds: tuple[float, float] | None = None,
    inputs: Inputs = UNDECLARED,
    norm: Norm = "l2",
    methods: Sequence[str] = (),
    budget: float = 60.0,
    domain: Domain = "global",
    radius: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[LipschitzBound], list[Skipped]]:
    """Bounds on how fast a network's logits change, per unit of the user's input.

    Args:
        network: as ``bench.network`` takes it.
        x: samples (n, ...), or an ``.npz``: where bounds from below begin. By default random ones of ``shape``.
        shape: of one sample, where there are none; by default that of an ONNX file's input.
        bounds: the range of ``x``; by default (0, 1) if ``x`` lies in it.
        inputs: how the network takes its input.
        norm: of inputs and logits alike.
        methods: names; by default all but those that need an extra.
        budget: seconds for each method that can stop early.
        domain: ``box``: between inputs within ``bounds`` alone; ``ball``: between those within ``radius`` of a sample,
            the largest over the first eight samples.
        radius: of the balls, l2, in the units of the input.
        progress: is called with the method that begins.

    Raises:
        UserError: whatever is wrong in what was given; a layer that has no bound is named.
    """
    if unknown := [name for name in methods if name not in METHODS]:
        raise UserError.at("--method", f"no method {unknown[0]!r}", nearest(unknown[0], list(METHODS)))
    if (domain == "ball") != (radius is not None) or (radius is not None and not 0 < radius < np.inf):
        raise UserError.at(
            "--radius", f"{radius} for the domain {domain!r}", "balls have a radius above 0, others none"
        )
    named = as_network(network, "MODEL")
    given = x if x is not None else _random(named.onnx, shape, bounds)
    allowed = bounds if bounds is not None or x is not None else (0.0, 1.0)
    pair = given_pair(network, network, given, bounds=allowed, inputs=inputs, argument_names=MODEL)
    _, dataset = pair_suite(pair)
    loaded = take_in_beside(dataset, pair.reference, "MODEL")
    runtime = "onnxruntime" if loaded.kind.startswith("onnx") else "torch"
    rows = dataset.evaluation.x
    try:
        predictor = open_predictor(loaded, Target(name=runtime, runtime=runtime, integer_sums="exact"))
        with gradient_view(predictor, Context(0, trial=rows[:TRIAL])) as view:
            graph = canonical_form(view.module, torch.from_numpy(rows[:TRIAL]))
    except NotApplicable as error:
        advice = "bounds are of affine layers and activations with known slopes"
        raise UserError.at("MODEL", str(error), advice) from None
    return lipschitz_bounds(
        graph,
        rows[:64],
        norm=norm,
        methods=methods,
        budget=budget,
        limits=pair.bounds if domain == "box" else None,
        region=[around(row, radius, "ball") for row in rows[:BALLS]] if radius is not None else None,
        progress=progress,
    )


def _random(
    file: Path | None, shape: tuple[int, ...] | None, bounds: tuple[float, float] | None
) -> NDArray[np.float32]:
    """Samples that are uniform within the bounds."""
    low, high = bounds or (0.0, 1.0)
    found = shape or _shape_of(file)
    return np.random.default_rng(0).uniform(low, high, (ROWS, *found)).astype(np.float32)


def _shape_of(file: Path | None) -> tuple[int, ...]:
    """The shape of one sample of an ONNX file."""
    if file is None:
        raise UserError.at("--shape", "a torch network does not say the shape of its input", SHAPE)
    try:
        dims = onnx.load(str(file), load_external_data=False).graph.input[0].type.tensor_type.shape.dim[1:]
    except Exception:  # whatever is wrong with the file is said where it is read with care
        dims = []
    if not dims or not all(dim.dim_value > 0 for dim in dims):
        raise UserError.at("--shape", "the file does not say the shape of its input", SHAPE)
    return tuple(dim.dim_value for dim in dims)

"""All methods on two networks: which of them apply, and what each says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.errors import NotApplicable
from bench.functional.lipschitz.certificate import Norm
from bench.functional.lipschitz.difference.ascent import farthest
from bench.functional.lipschitz.difference.bound import DifferenceBound, enclosing
from bench.functional.lipschitz.difference.upper_bounds import METHODS, UP, OnRegion, Pair, Reach
from bench.functional.lipschitz.methods import Skipped
from bench.functional.lipschitz.regions import Ball, Region, checked

Float = NDArray[np.float64]
LOWER = "ascent"
BOTH: tuple[Norm, ...] = ("l2", "linf")


def difference_bounds(
    f: Graph,
    g: Graph,
    region: Region,
    *,
    norms: Sequence[Norm] = BOTH,
    methods: Sequence[str] = (),
    budget: float = 60.0,
    branches: int | None = None,
    words: tuple[str | int, ...] = (0,),
    starts: int = 8,
    steps: int = 40,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[DifferenceBound], list[Skipped]]:
    """Bounds of ``sup ‖f(x) − g(x)‖`` over a region, by each method that applies to the two networks.

    Args:
        f: a network in canonical form.
        g: another one of as many inputs and outputs.
        region: a box, or an l2 ball.
        norms: of the outputs.
        methods: names of ``METHODS``, or ``ascent`` for the bound from below; by default all.
        budget: seconds for the mixed-integer programs together.
        branches: of each of them; the result then depends on no clock where the budget is infinite.
        words: seed of the ascent's starts, such as a number and a sample's id.
        starts: points that climb.
        steps: of each.
        progress: is called with the name of the method that begins.

    Returns:
        The bounds, and the methods that do not apply with their reasons.

    Raises:
        ValueError: a method that there is not, or a region that does not fit the inputs.
        NotApplicable: the networks differ in their inputs or outputs.
        AssertionError: a lower bound exceeds a certified one, which no pair of networks can bring about.

    >>> import torch
    >>> from bench.canonical_form.trace import canonical_form
    >>> from bench.functional.lipschitz.regions import Box
    >>> f, g = (torch.nn.Linear(1, 1, bias=False).eval() for _ in range(2))
    >>> with torch.no_grad():
    ...     _ = f.weight.fill_(3.0), g.weight.fill_(1.0)
    >>> forms = [canonical_form(network, torch.zeros(1, 1)) for network in (f, g)]
    >>> bounds, _ = difference_bounds(*forms, Box(np.zeros(1), np.ones(1)), norms=["l2"])
    >>> sorted({(bound.kind, round(bound.value, 6)) for bound in bounds if bound.method != "joint intervals"})
    [('certified', 2.0), ('lower', 2.0)]
    """
    chosen = list(methods) or [*METHODS, LOWER]
    if unknown := [name for name in chosen if name not in METHODS and name != LOWER]:
        raise ValueError(f"{unknown[0]!r} is no method; there are {', '.join([*METHODS, LOWER])}")
    on = OnRegion(Pair(f, g), checked(region, f.nodes[0].size), budget, branches)
    domain = f"ball of radius {on.region.radius:g}" if isinstance(on.region, Ball) else "box"
    rows, bounds, skipped = np.eye(on.pair.graph.nodes[-1].size), list[DifferenceBound](), list[Skipped]()
    for name in chosen:
        if progress is not None:
            progress(name)
        started = time.perf_counter()
        note = ""
        try:
            if name == LOWER:
                found = [
                    farthest(on.pair.graph, on.region, norm, words=words, starts=starts, steps=steps) for norm in norms
                ]
                values = [value for value, _ in found]
            else:
                reach = METHODS[name](on, rows)
                values, note = [size_of(reach, norm) for norm in norms], reach.note
        except NotApplicable as error:
            skipped.append(Skipped(name, str(error)))
            continue
        seconds, kind = time.perf_counter() - started, "lower" if name == LOWER else "certified"
        bounds += [
            DifferenceBound(name, kind, norm, domain, value, seconds, note)  # type: ignore[arg-type]
            for norm, value in zip(norms, values, strict=True)
        ]
    for norm in norms:
        enclosing(bounds, norm)
    return bounds, skipped


def asked(on: OnRegion, rows: Float, names: Sequence[str]) -> tuple[dict[str, Reach], dict[str, str]]:
    """What each method says of linear functions of the difference, rows (m, outputs), and why others say nothing."""
    reaches, reasons = {}, {}
    for name in names:
        try:
            reaches[name] = METHODS[name](on, rows)
        except NotApplicable as error:
            reasons[name] = str(error)
    return reaches, reasons


def rows_of(reach: Reach, rows: slice) -> Reach:
    """What is known of some rows alone, and of the whole."""
    return reach._replace(low=reach.low[rows], high=reach.high[rows])


def size_of(reach: Reach, norm: Norm) -> float:
    """An upper bound of ``‖f − g‖`` from where each output's difference lies."""
    if norm == "linf":
        return min(float(reach.largest.max()), reach.whole)
    return min(float(np.linalg.norm(reach.largest)) * UP, reach.whole)

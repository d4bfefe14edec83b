"""What Python callers use: ``load_suite``, ``run``, ``diff``; the command line stands on the same functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from bench.compression.record import to_bytes
from bench.data.base import Dataset
from bench.data.downloads import kept_in
from bench.engine.diff import pair_suite
from bench.engine.networks import Networks
from bench.engine.run import Progress, RunOptions, make_plan, run_suite
from bench.errors import UserError
from bench.gate import judge_results
from bench.layer_report import LayerReport
from bench.metrics.base import Metric
from bench.registry import nearest
from bench.results import Cell, Results
from bench.run_results import RunResults
from bench.runtimes.base import IntegerSums
from bench.store.files import write_atomic
from bench.store.passing import passing_store
from bench.store.samples import RunSamples
from bench.store.store import Store
from bench.suite.extends import shown_path
from bench.suite.given_network import GivenNetwork, network
from bench.suite.given_pair import PYTHON, UNDECLARED, GivenPair, Inputs, given_pair
from bench.suite.given_variants import with_variants
from bench.suite.load import load_suite
from bench.suite.plan import cell_label, metric_label
from bench.suite.reuse import tell_of_reuse
from bench.suite.selection import accepted_as, first_match
from bench.suite.suite import Suite
from bench.wording import canonical

__all__ = ["Inputs", "diff", "layers", "load_suite", "measure", "measure_pair", "network", "run", "write_weights"]


class Measurement(NamedTuple):
    """A run's judged results, and the per-sample arrays of what is gated: what a baseline is made of."""

    results: Results
    samples: RunSamples


def run(
    suite: Suite | Path | str,
    options: RunOptions | None = None,
    progress: Progress | None = None,
    dataset: Dataset | None = None,
    *,
    variants: Mapping[str, GivenNetwork] | None = None,
    **given: Any,
) -> RunResults:
    """Measure a suite and judge its gates; nothing but the store is written.

    Args:
        suite: A loaded suite, or the path of a suite file.
        variants: Networks by name that are measured beside the suite's variants, as ``bench.network`` takes them: each
            on the targets that can run it (a function on those with ``runtime = "function"``). They take their input as
            the reference does, unless they say otherwise.
        options: Store, device, which cells; by default the store ``.crbench``.
        progress: Called while it runs.
        dataset: The data, where it is at hand already.
        given: Any of the options by name: ``only="prune*"``, ``store``, ``device``, ``rerun``, ``shard``.

    Raises:
        UserError: whatever is wrong in the suite or in what it names, each problem with its place.
    """
    known = [field.name for field in fields(RunOptions)]
    for name in given:
        if name not in known:
            raise UserError.at("run", f"unknown option {name!r}", nearest(name, known))
    chosen = replace(options or RunOptions(store=".crbench"), **given)
    loaded = suite if isinstance(suite, Suite) else load_suite(suite)
    loaded = with_variants(loaded, variants or {})
    tell_of_reuse(loaded)
    return RunResults.of(*measure(loaded, replace(chosen, store=os.fspath(chosen.store)), progress, dataset))


def measure(
    suite: Suite | Path | str,
    options: RunOptions | None = None,
    progress: Progress | None = None,
    dataset: Dataset | None = None,
) -> Measurement:
    """Measure a suite and judge its gates; nothing but the store is written.

    Args:
        suite: A loaded suite, or the path of a suite file.
        options: Store, device, which cells; by default the store ``.crbench``.
        progress: Called while it runs.
        dataset: The data, where it is at hand already.

    Raises:
        UserError: whatever is wrong in the suite or in what it names, each problem with its place.
    """
    loaded = suite if isinstance(suite, Suite) else load_suite(suite)
    kept: list[RunSamples] = []
    results = run_suite(loaded, options or RunOptions(store=".crbench"), progress, dataset, kept.append)
    declared = [(use.metric.name, use.metric.parameters(), use.gates) for use in loaded.metrics]
    judged = judge_results(results, declared, kept[0], _accepting(loaded))
    judged.suite.path = shown_path(loaded.path)
    return Measurement(judged, kept[0])


def _accepting(suite: Suite) -> Callable[[Cell], str]:
    """What in the suite accepts the skip of a cell, in words; empty where nothing does."""
    labels = {(use.metric.name, canonical(use.metric.parameters())): metric_label(use.metric) for use in suite.metrics}

    def accepted(cell: Cell) -> str:
        label = cell_label(cell.variant, cell.target, labels[cell.metric, canonical(cell.params)], cell.replicate)
        return accepted_as(first_match(label, suite.not_applicable))

    return accepted


def write_weights(
    suite: Suite, store: str = ".crbench", device: str = "cpu", progress: Progress | None = None
) -> list[tuple[Path, int]]:
    """Train a suite's reference and yardsticks and write them into the folder its ``reference.weights`` names.

    Returns:
        Each file and its size in bytes.

    Raises:
        UserError: the suite names no such folder, or one that is not beside it.
    """
    folder = suite.reference.weights
    if folder is None:
        raise UserError.at("reference.weights", "not set", 'name a folder, such as weights = "weights/digits"')
    if not folder.resolve().is_relative_to(suite.path.parent.resolve()):
        what = f"{shown_path(folder)!r} is not in the folder of {suite.path.name}, and nothing is written elsewhere"
        raise UserError.at("reference.weights", what, "name a folder beside the suite")
    trained = replace(suite, reference=replace(suite.reference, weights=None))
    with kept_in(store):
        plan, dataset = make_plan(trained, device)
    kept = Store(store)
    networks = Networks(kept, dataset, (progress or Progress()).message)
    nodes = {"reference": plan.references[0]}
    nodes |= {f"yardstick-{index + 1}": node for index, node in enumerate(plan.yardsticks)}
    written = []
    for name, node in nodes.items():
        blob = to_bytes(networks.get(node))
        write_atomic(folder / f"{name}.safetensors", blob)
        written.append((folder / f"{name}.safetensors", len(blob)))
    kept.tell()
    return written


def diff(
    reference: GivenNetwork,
    variant: GivenNetwork,
    x: Any,
    y: Any = None,
    metrics: Sequence[str | Metric] = (),
    yardsticks: Sequence[GivenNetwork] = (),
    bounds: tuple[float, float] | None = None,
    *,
    inputs: Inputs = UNDECLARED,
    integer_sums: IntegerSums = "native",
    device: str = "cpu",
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> RunResults:
    """Compare one pair, no suite needed; nothing is written unless a store is named.

    Args:
        reference: A torch module, an ONNX file (path, bytes or ``ModelProto``), ``module:factory[@checkpoint]``, a
            function of arrays, or what ``bench.network`` made of one of them.
        variant: Another one.
        x: Samples: images (n, channels, height, width) or (n, height, width), or vectors (n, features); or the path of
            an ``.npz`` with ``x`` and, if known, ``y``.
        y: Labels (n,), if known.
        metrics: Names such as ``"adversarial.pgd[epsilon=0.1]"``, or objects; by default fidelity, cost and all that
            need no gradient.
        yardsticks: Networks as good as the reference, such as retrained ones: gaps need them, four for an interval.
        bounds: The range of ``x``; by default (0, 1) if ``x`` lies in it.
        inputs: How the networks take their input, such as ``Inputs(both="layout=NHWC,scale=255")``.
        integer_sums: How ONNX Runtime sums 8-bit products: as this processor does, exactly, or saturating.
        device: Where torch runs.
        store: A folder or fsspec URL in which measurements are kept and looked up; by default none is.
        progress: Called while it runs.

    Raises:
        UserError: whatever is wrong in what was given.
    """
    pair = given_pair(
        reference, variant, x, y,
        metrics=metrics, yardsticks=yardsticks, bounds=bounds, integer_sums=integer_sums, inputs=inputs,
    )  # fmt: skip
    return RunResults.of(*measure_pair(pair, device=device, store=store, progress=progress), pair=True)


def layers(
    reference: GivenNetwork,
    variant: GivenNetwork,
    x: Any,
    y: Any = None,
    bounds: tuple[float, float] | None = None,
    *,
    inputs: Inputs = UNDECLARED,
    integer_sums: IntegerSums = "native",
    progress: Callable[[int, int, str], None] | None = None,
) -> LayerReport:
    """Rank the layers of a variant by how much of its divergence from the reference each one brings in.

    Each layer in turn is computed as in the reference, on the variant's own inputs; nothing is written.

    Args:
        reference: A torch module, an ONNX file (path, bytes or ``ModelProto``), ``module:factory[@checkpoint]``, or
            what ``bench.network`` made of one of them. A function has no layers.
        variant: Another one of the same architecture.
        x: Samples (n, ...), or the path of an ``.npz`` with ``x`` and, if known, ``y``.
        y: Labels (n,), if known: with them accuracy and likelihood that come back are told too.
        bounds: The range of ``x``; by default (0, 1) if ``x`` lies in it.
        inputs: How the networks take their input.
        integer_sums: How ONNX Runtime sums 8-bit products where the networks are deployed.
        progress: Called with the layers done, their number, and the name of the one at work.

    Raises:
        UserError: whatever is wrong in what was given; no layer of one answers to a layer of the other.
    """
    from bench.engine.layer_culprits import why_diverged

    shown = progress or (lambda done, total, name: None)
    return LayerReport(why_diverged(reference, variant, x, bounds, shown, integer_sums, inputs, y, PYTHON))


def measure_pair(
    pair: GivenPair,
    *,
    device: str = "cpu",
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measure a pair that was read already; without a store nothing is written.

    Raises:
        UserError: whatever is wrong with the networks.
    """
    suite, dataset = pair_suite(pair)
    if store is None:
        with passing_store() as url:
            return measure(suite, RunOptions(store=url, device=device), progress, dataset)
    tell_of_reuse(suite)
    return measure(suite, RunOptions(store=os.fspath(store), device=device), progress, dataset)

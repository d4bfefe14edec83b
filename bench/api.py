"""The Python interface: ``load_suite``, ``run``, ``diff``, ``layers``; the command line calls the same functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.data.base import Dataset
from bench.engine.diff import pair_suite
from bench.engine.inline import Rerun
from bench.engine.run import Progress
from bench.layer_report import RankedLayers
from bench.metrics.base import Metric
from bench.run_results import RunResults
from bench.runtimes.base import IntegerSums
from bench.store.passing import passing_store
from bench.study import Study
from bench.suite.given_network import GivenNetwork, network
from bench.suite.given_pair import PYTHON, UNDECLARED, GivenPair, Inputs, given_pair
from bench.suite.given_variants import with_variants
from bench.suite.load import load_suite
from bench.suite.reuse import tell_of_reuse
from bench.suite.suite import Suite

__all__ = ["Inputs", "Study", "diff", "layers", "load_suite", "measure_pair", "network", "run"]


def run(
    suite: Suite | Path | str,
    *,
    only: str | None = None,
    shard: tuple[int, int] = (1, 1),
    store: str | os.PathLike[str] = ".crbench",
    device: str = "cpu",
    rerun: Rerun = "missing",
    progress: Progress | None = None,
    dataset: Dataset | None = None,
    variants: Mapping[str, GivenNetwork] | None = None,
) -> RunResults:
    """Measure a suite and judge its gates; nothing but the store is written.

    Args:
        suite: A loaded suite, or the path of a suite file.
        only: A glob over cells (``variant/target/metric``) or variants, such as ``"prune*"``.
        shard: The i-th of n parts of the cells.
        store: A folder or fsspec URL in which everything measured is kept and looked up.
        device: Where torch runs.
        rerun: ``missing``: measure what is not stored, or failed. ``failed``: only what failed. ``always``: all.
            ``never``: only what is stored counts.
        variants: Networks by name that are measured beside the suite's variants, as ``bench.network`` takes them: each
            on the targets that can run it (a function on those with ``runtime = "function"``). They take their input as
            the reference does, unless they say otherwise.
        progress: Called while it runs.
        dataset: The data, where it is at hand already.

    Raises:
        UserError: whatever is wrong in the suite or in what it names, each problem with its path.
    """
    loaded = with_variants(suite if isinstance(suite, Suite) else load_suite(suite), variants or {})
    tell_of_reuse(loaded)
    return Study(loaded, store, device, rerun=rerun, dataset=dataset, progress=progress).run(only, shard)


def diff(
    reference: GivenNetwork,
    variant: GivenNetwork,
    x: Any,
    y: Any = None,
    metrics: Sequence[str | Metric] = (),
    yardsticks: Sequence[GivenNetwork] = (),
    bounds: tuple[float, float] | None = None,
    *,
    beside: GivenNetwork | None = None,
    inputs: Inputs = UNDECLARED,
    integer_sums: IntegerSums = "native",
    device: str = "cpu",
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> RunResults:
    """Compare one pair, no suite needed; nothing is written unless a store is named.

    With ``beside`` the results hold both variants and, of each headline change, how many times as far one moved as the
    other (``variant_ratios``, ``ratios()``): a paired ratio that needs no yardsticks.

    Args:
        reference: A torch module, an ONNX file (path, bytes or ``ModelProto``), ``module:factory[@checkpoint]``, a
            function of arrays, or what ``bench.network`` made of one of them.
        variant: Another one.
        x: Samples: images (n, channels, height, width) or (n, height, width), or vectors (n, features); or the path of
            an ``.npz`` with ``x`` and, if known, ``y``.
        y: Labels (n,), if known.
        metrics: Names such as ``"adversarial.pgd[epsilon=0.1]"``, or objects; by default fidelity, cost and all that
            need neither gradients nor many forward passes a sample.
        yardsticks: Networks as good as the reference, such as retrained ones: gaps need them, four for an interval.
        bounds: The range of ``x``; by default (0, 1) if ``x`` lies in it.
        beside: A second variant of the same reference.
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
        beside=beside,
    )  # fmt: skip
    return measure_pair(pair, device=device, store=store, progress=progress)


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
) -> RankedLayers:
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

    report_progress = progress or (lambda done, total, name: None)
    report = why_diverged(reference, variant, x, bounds, report_progress, integer_sums, inputs, y, PYTHON)
    return RankedLayers(report)


def measure_pair(
    pair: GivenPair,
    *,
    device: str = "cpu",
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> RunResults:
    """Measure a pair that was read already; without a store nothing is written.

    Raises:
        UserError: whatever is wrong with the networks.
    """
    suite, dataset = pair_suite(pair)
    if store is None:
        with passing_store() as url:
            return Study(suite, url, device, dataset=dataset, progress=progress).run().as_pair()
    tell_of_reuse(suite)
    return Study(suite, store, device, dataset=dataset, progress=progress).run().as_pair()

"""A suite at work: planned once, then forecast, measured, run and explained; everything else stands on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.base import Dataset
from bench.data.downloads import kept_in
from bench.engine.forecast import applicability, forecast
from bench.engine.foresight import Foresight, foresee
from bench.engine.inline import InlineEngine, Measured, Rerun
from bench.engine.kept_networks import kept_bytes
from bench.engine.networks import NetworkFailure, check_unchanged
from bench.engine.planning import PlannedSuite, plan_suite
from bench.engine.run import Progress, run_plan
from bench.engine.samples import collect
from bench.engine.sums_forecast import sums_forecast
from bench.engine.why import why
from bench.errors import UserError
from bench.gate import judge_results
from bench.gate.power import GatePower, gate_powers, power_lines
from bench.results import Cell
from bench.run_results import RunResults
from bench.store.files import write_atomic
from bench.store.samples import RunSamples
from bench.store.store import Store
from bench.suite.equivalents import plan_pool, pool_file
from bench.suite.extends import shown_path
from bench.suite.load import load_suite
from bench.suite.plan import Plan, PlannedCell
from bench.suite.planned_networks import PlannedNetwork, chain
from bench.suite.planned_variants import kept_name, trains
from bench.suite.selection import accepted_as, first_match
from bench.suite.suite import Suite

if TYPE_CHECKING:
    import torch


class Study:
    """One suite with its store and its device.

    Planning loads the data and hashes networks from outside; nothing is trained or measured before it is asked for.

    Args:
        suite: A loaded suite, or the path of a suite file.
        store: A folder or fsspec URL in which everything measured is kept and looked up.
        device: Where torch runs.
        rerun: ``missing``: measure what is not stored, or failed. ``failed``: only what failed. ``always``: all.
            ``never``: only what is stored counts.
        dataset: The data, where it is at hand already.
        progress: Called while something is measured.

    Raises:
        UserError: whatever is wrong in the suite or in what it names, each problem with its path.
    """

    def __init__(
        self,
        suite: Suite | Path | str,
        store: str | os.PathLike[str] = ".crbench",
        device: str = "cpu",
        *,
        rerun: Rerun = "missing",
        dataset: Dataset | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.suite = suite if isinstance(suite, Suite) else load_suite(suite)
        self.store_url = os.fspath(store)
        self.device = device
        self.rerun: Rerun = rerun
        self.progress = progress or Progress()
        with kept_in(self.store_url):
            self.planned: PlannedSuite = plan_suite(self.suite, device, dataset)

    @property
    def plan(self) -> Plan:
        """Every cell, and the networks that they need."""
        return self.planned.plan

    @property
    def dataset(self) -> Dataset:
        """The data, in its splits."""
        return self.planned.dataset

    @cached_property
    def store(self) -> Store:
        """Opened when it is first needed."""
        return Store(self.store_url, background=True)

    @cached_property
    def engine(self) -> InlineEngine:
        """Made by the first cell that is measured."""
        return InlineEngine(
            self.plan,
            self.dataset,
            self.store,
            device=self.device,
            rerun=self.rerun,
            progress=lambda message: self.progress.message(message),
        )

    def run(self, only: str | None = None, shard: tuple[int, int] = (1, 1)) -> RunResults:
        """Measure what is missing, put the results together and judge their gates; nothing but the store is written.

        Args:
            only: a glob over cells (``variant/target/metric``) or variants.
            shard: the i-th of n parts of the cells.

        Raises:
            UserError: no cell matches, the device or a network from outside cannot be used.
        """
        check_unchanged(self.plan)
        try:
            results, samples = run_plan(self.planned, self.engine, only, shard, self.progress)
        finally:
            try:
                self.store.flush()
            finally:
                self.store.tell()
        declared = [(use.metric.name, use.metric.parameters(), use.gates) for use in self.suite.metrics]
        judged = judge_results(results, declared, samples, self._accepts)
        judged.suite.path = shown_path(self.suite.path)
        return RunResults.of(judged, samples)

    def _accepts(self, cell: Cell) -> str:
        """The suite's acceptance of a cell's skip, in words; empty where there is none."""
        return accepted_as(first_match(cell.label, self.suite.not_applicable))

    def measure(self, cell: PlannedCell) -> Measured:
        """Reuse or measure one cell of the plan; whatever goes wrong while it is measured stays in it.

        Raises:
            UserError: the device or a network from outside cannot be used at all.
        """
        check_unchanged(self.plan)
        if self.rerun in ("missing", "always") and self.engine.cached(cell) is None:
            self.engine.preflight([cell])
        return self.engine.measure(cell)

    def known(self, cell: PlannedCell) -> Cell | None:
        """The cell where it is stored already; nothing is measured."""
        return self.engine.cached(cell)

    def samples(self, measured: Iterable[tuple[PlannedCell, Measured]]) -> RunSamples:
        """The per-sample arrays of what is gated in these cells."""
        return collect(self.plan, self.dataset, self.engine, list(measured))

    @contextmanager
    def forward(self, cell: PlannedCell) -> Iterator[Callable[[], torch.Tensor]]:
        """One real call of the cell's network on its target, batch 1, from pixels to logits, on the target's threads.

        Inside the context the call can be repeated.
        """
        import torch

        from bench.networks.arithmetic import arithmetic

        predictor = self.engine.observations.open(cell.network, cell.target).as_shipped()
        image = torch.from_numpy(self.engine.observations.samples(cell.count).x[:1].copy())
        with arithmetic(cell.target.threads):
            predictor.logits(image)  # the first call also allocates
            yield lambda: predictor.logits(image)

    def forecast(self) -> list[str]:
        """Forecast a run: what is stored, what is to be made, how long that may take; a line each."""
        lines = [*forecast(self.planned, self.store), *sums_forecast(self.planned, self.store)]
        return [*lines, *power_lines(self.plan, self.dataset, self.store), *applicability(self.plan)]

    def foresee(self) -> Foresight:
        """Foresee what of a run will fail, as far as that can be known without training."""
        return foresee(self.plan, self.dataset, self.store)

    def power(self) -> list[GatePower]:
        """The power of each gate: what it finds with 80 % probability, and the samples that its tolerance needs."""
        return list(gate_powers(self.plan, self.dataset, self.store))

    def explain(self, cells: str) -> list[str]:
        """Why cells (a label, a glob, or the start of one) would be reused, or what changed since; a line each.

        Raises:
            UserError: no cell matches.
        """
        return why(self.plan, cells, self.store)

    def close(self) -> None:
        """Wait until everything measured is on disk, and say what the store has to say."""
        if "store" in self.__dict__:
            self.store.flush()
            self.store.tell()

    def flush(self) -> None:
        """Wait until everything measured is on disk."""
        if "store" in self.__dict__:
            self.store.flush()

    def notices(self) -> list[str]:
        """The notices of the store: what was damaged, what could not be kept; each is said once."""
        return self.store.notices.lines() if "store" in self.__dict__ else []


def write_weights(
    suite: Suite | Path | str,
    store: str = ".crbench",
    device: str = "cpu",
    progress: Progress | None = None,
    *,
    variants_alone: bool = False,
) -> list[tuple[Path, int]]:
    """Write a suite's trained networks into the folder that ``reference.weights`` names.

    The reference and the yardsticks, trained anew; then each network of a variant that a step trains and that the
    folder does not hold yet. With ``variants_alone`` the reference and the yardsticks stay as they are. Pools that a
    section of equivalents keeps in a folder are written too, each network that is not there yet.

    Returns:
        Each file and its size in bytes.

    Raises:
        UserError: the suite names no such folder, or one that is not beside it; a network could not be trained.
    """
    loaded = suite if isinstance(suite, Suite) else load_suite(suite)
    folder, pools = loaded.reference.weights, [section for section in loaded.equivalents if section.weights is not None]
    if folder is None and not pools:
        raise UserError.at("reference.weights", "not set", 'name a folder, such as weights = "weights/digits"')
    for key, named in (("reference", folder), *((f"equivalent {item.name}", item.weights) for item in pools)):
        if named is not None and not named.resolve().is_relative_to(loaded.path.parent.resolve()):
            what = f"{shown_path(named)!r} is not in the folder of {loaded.path.name}, and nothing is written elsewhere"
            raise UserError.at(f"{key}.weights", what, "name a folder beside the suite")
    unkept = tuple(replace(section, weights=None) for section in loaded.equivalents)
    trained = replace(loaded, reference=replace(loaded.reference, weights=None), equivalents=unkept)
    written = []
    if (folder is not None and not variants_alone) or pools:
        with closing(Study(trained, store, device, progress=progress)) as study:
            nodes: dict[Path, PlannedNetwork] = {}
            if folder is not None and not variants_alone:
                nodes[folder / "reference.safetensors"] = study.plan.references[0]
                for index, node in enumerate(study.plan.yardsticks):
                    nodes[folder / f"yardstick-{index + 1}.safetensors"] = node
            for section, kept in zip(unkept, loaded.equivalents, strict=True):
                for index, node in enumerate(plan_pool(trained, section, study.planned.planner.splits)):
                    path = None if kept.weights is None else kept.weights / pool_file(index)
                    nodes |= {} if path is None or path.is_file() else {path: node}
            written += [_keep(study, node, path) for path, node in nodes.items()]
    if folder is None:
        return written
    with closing(Study(loaded, store, device, progress=progress)) as study:
        steps = [node for last in study.plan.variants.values() for node in chain(last)]
        missing = {kept_name(node): node for node in steps if trains(node) and node.weights is None}
        written += [_keep(study, node, folder / name) for name, node in sorted(missing.items())]
    return written


def _keep(study: Study, node: PlannedNetwork, path: Path) -> tuple[Path, int]:
    from bench.compression.restoring import to_bytes

    try:
        network = study.engine.networks.get(node)
    except NetworkFailure as error:
        raise UserError.at("reference.weights", f"{path.name} cannot be made: {error}") from error
    blob = to_bytes(network) if node.step is None else kept_bytes(network)
    write_atomic(path, blob)
    return path, len(blob)

"""One suite, measured cell by cell in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from bench.data.base import Dataset
from bench.data.downloads import kept_in
from bench.engine.inline import InlineEngine, Measured
from bench.engine.run import RunOptions, make_plan
from bench.engine.samples import collect
from bench.results import Cell
from bench.store.samples import RunSamples
from bench.store.store import Store
from bench.suite.plan import PlannedCell
from bench.suite.suite import Suite

if TYPE_CHECKING:
    import torch


class SuiteRun:
    """A planned suite that measures the cells it is asked for; each is what a whole run would make of it.

    Planning loads the data and hashes outside files; the store is opened by the first measurement.

    Args:
        suite: A checked suite.
        options: Store, device and what to reuse; ``only`` and ``shard`` have no meaning here.
        dataset: The data, where it is at hand already.

    Raises:
        UserError: whatever is wrong in what the suite names.
    """

    def __init__(self, suite: Suite, options: RunOptions, dataset: Dataset | None = None) -> None:
        self.suite = suite
        self.options = options
        with kept_in(options.store):
            self.plan, self.dataset = make_plan(suite, options.device, dataset)

    @cached_property
    def engine(self) -> InlineEngine:
        """Made by the first cell that is measured."""
        store = Store(self.options.store, background=True)
        return InlineEngine(self.plan, self.dataset, store, device=self.options.device, rerun=self.options.rerun)

    def measure(self, cell: PlannedCell) -> Measured:
        """Reuse or measure a cell; whatever goes wrong while it is measured stays in it.

        Raises:
            UserError: the device or an outside network cannot be used at all.
        """
        if self.options.rerun in ("missing", "always") and self.engine.cached(cell) is None:
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

        from bench.graph.arithmetic import arithmetic

        predictor = self.engine.observations.open(cell.node, cell.target).as_shipped()
        image = torch.from_numpy(self.engine.observations.samples(cell.count).x[:1].copy())
        with arithmetic(cell.target.threads):
            predictor.logits(image)  # the first call also allocates
            yield lambda: predictor.logits(image)

    def flush(self) -> None:
        """Wait until everything measured is on disk."""
        if "engine" in self.__dict__:
            self.engine.store.flush()

    def notices(self) -> list[str]:
        """What the store has to say: what was damaged, what could not be kept; each is said once."""
        return self.engine.store.notices.lines() if "engine" in self.__dict__ else []

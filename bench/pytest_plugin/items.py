"""Suites and their cells as pytest's collectors and items."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.engine.provenance import machine
from bench.errors import Problem, UserError
from bench.gate import judge_cell, judge_gates
from bench.gate.skips import accepted_by_suite
from bench.pytest_plugin import store_url
from bench.pytest_plugin.baselines import BaselineOfSuite, baseline_for
from bench.pytest_plugin.explanation import (
    closer,
    figures,
    heading,
    how_to_accept,
    lines_of,
    properties,
    sums_note,
)
from bench.pytest_plugin.names import cell_name, unique
from bench.pytest_plugin.recognition import RUNS, TALLY, Tally, relative
from bench.results import Cell, Judgement
from bench.results.consequences import failing
from bench.store.samples import RunSamples
from bench.study import Study
from bench.suite.plan import PlannedCell, other_sums
from bench.suite.selection import accepted_as, first_match
from bench.wording import plain

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

PYTESTS_OWN = frozenset({"parametrize", "skip", "skipif", "usefixtures", "xfail", "filterwarnings", "benchmark"})


@dataclass(frozen=True)
class Parameters:
    """The parameters that pytest-benchmark reads of a test; pytest finds no fixture of these names to give them to."""

    id: str
    params: dict[str, str]
    indices: dict[str, int] = field(default_factory=dict)

    @property
    def _arg2scope(self) -> dict[str, str]:
        return dict.fromkeys(self.params, "function")


class SuiteFile(pytest.File):
    """A suite: its cells are planned, nothing is trained or measured."""

    obj = None  # a Function looks for its parent's
    run: Study
    baseline: BaselineOfSuite | None

    def collect(self) -> Iterator[pytest.Item]:
        """One item a cell, the costs of a variant last; a suite's problems are one line each."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.run = self._planned()
                self.baseline = baseline_for(self.config, self.run)
        except UserError as error:
            raise self.CollectError("\n".join(self._line(problem) for problem in error.problems)) from None
        cells = sorted(self.run.plan.cells, key=self._order)
        for cell, name in zip(cells, unique(cell_name(cell.id) for cell in cells), strict=True):
            timed = cell.use.metric.timing and self.config.pluginmanager.hasplugin("benchmark")
            item = CellItem.from_parent(self, name=name, callobj=_timed_cell if timed else _cell)
            item.prepare(self.run, cell, self.baseline)
            yield item
        if self.baseline is not None and not self.baseline.update:
            absent = AbsentItem.from_parent(self, name="baseline-is-covered", callobj=_cell)
            absent.baseline = self.baseline
            yield absent

    def _line(self, problem: Problem) -> str:
        """A problem with the suite it is in, paths as they are typed."""
        text = plain(problem).replace(f"{self.config.invocation_params.dir}{os.sep}", "")
        file = relative(self.path, self.config)
        return text if text.startswith(file) else f"{file}: {text}"

    def _planned(self) -> Study:
        runs = self.config.stash.setdefault(RUNS, {})
        if self.path not in runs:
            runs[self.path] = Study(self.path, store_url(self.config), self.config.getoption("crbench_device"))
        return runs[self.path]

    def _order(self, cell: PlannedCell) -> tuple[int, int, int, bool]:
        suite = self.run.suite
        variants = [variant.name for variant in suite.variants]
        targets = [target.name for target in suite.targets]
        order = cell.replicate, variants.index(cell.variant), targets.index(cell.target.name)
        return (*order, cell.use.metric.timing)


def _cell(request: pytest.FixtureRequest) -> None:
    request.node.judge(None)


def _timed_cell(request: pytest.FixtureRequest, benchmark: BenchmarkFixture) -> None:
    request.node.judge(benchmark)


class SuiteItem(pytest.Function):
    """The base of all items of a suite: where they stand, and failures without a traceback."""

    line = 0
    heading = "baseline"  # never how the node id ends: pytest's -v would read points in it as nesting

    def judge(self, benchmark: BenchmarkFixture | None) -> None:
        """Raise an error where the item fails."""
        raise NotImplementedError

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The suite file, the line of the variant where it is written there, and the heading of a failure."""
        return self.path, self.line, self.heading

    def failure(self, *lines: str) -> BaseException:
        """A failure that is its own text."""
        return pytest.fail.Exception("\n".join(lines), pytrace=False)


class AbsentItem(SuiteItem):
    """Fails where the baseline holds cells that the suite plans no more."""

    baseline: BaselineOfSuite

    def judge(self, benchmark: BenchmarkFixture | None) -> None:
        """Compare which cells there are; nothing is measured."""
        gone = self.baseline.absent()
        if gone:
            advice = "take them back, or accept a new baseline: --crbench-update-baseline"
            what = f"{len(gone)} cells of the baseline are not in the suite:"
            raise self.failure(what, *(f"  {label}" for label in gone), advice)


class CellItem(SuiteItem):
    """One cell: measured or reused when it is set up, judged when it is called."""

    run: Study
    planned: PlannedCell
    baseline: BaselineOfSuite | None
    judged: Cell
    samples: RunSamples | None

    def prepare(self, run: Study, planned: PlannedCell, baseline: BaselineOfSuite | None) -> None:
        """Give the item its cell, its markers and its parameters."""
        self.run, self.planned, self.baseline = run, planned, baseline
        self.heading = planned.label
        metric, target = planned.use.metric, planned.target
        params = {"variant": planned.variant, "target": target.name, "metric": metric.name}
        self.callspec: Any = Parameters(self.name, params)
        self.line = _line_of(self.path, planned.variant)
        mark = f"target-{target.name}" if target.name in PYTESTS_OWN else target.name
        self.config.addinivalue_line("markers", f"{mark}: crbench: a target of {self.path.name}")
        self.add_marker(metric.family)
        self.add_marker(mark)
        chains = [variant.steps for variant in run.suite.variants if variant.name == planned.variant]
        trains = any({"train", "recipe"} & step.uses() for chain in chains for step in chain)
        if metric.gradients or trains:
            self.add_marker("slow")
        device = run.device if target.runtime == "torch" else target.provider
        if device not in ("cpu", "CPUExecutionProvider"):
            self.add_marker("gpu")
        if self.config.pluginmanager.hasplugin("xdist"):
            self.add_marker(pytest.mark.xdist_group(f"{self.path.stem}-{planned.variant}"))

    @property
    def strict(self) -> bool:
        """Whether what is inconclusive fails."""
        return bool(self.config.getoption("crbench_strict"))

    @property
    def closer(self) -> str:
        """The command that measures this cell alone."""
        store = self.config.getoption("crbench_store")
        return f"look closer: {closer(relative(self.path, self.config), self.planned.label, store)}"

    def setup(self) -> None:
        """Measure before any fixture is made: an errored cell is an error, one without a meaning is skipped."""
        if not (self.config.getoption("setupplan", False) or self.config.getoption("setuponly", False)):
            self._measure()
        super().setup()

    def _measure(self) -> None:
        if "OMP_WAIT_POLICY" not in os.environ:  # as the command line does: threads that spin stall small networks
            os.environ.setdefault("GOMP_SPINCOUNT", "20000")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                measured = self.run.measure(self.planned)
                gates = self.planned.use.gates
                compared = self.baseline is not None or any(gate.per is not None for gate in gates)
                self.samples = self.run.samples([(self.planned, measured)]) if compared else None
                pattern = first_match(self.planned.label, self.run.suite.not_applicable)
                self.judged = judge_cell(measured.cell, gates, self.samples, accepted_as(pattern))
        except UserError as error:
            raise self.failure(*(plain(problem) for problem in error.problems)) from None
        cell = self.judged
        if cell.status == "error":
            self._note([])
            raise self.failure(heading(cell, "error"), f"  {plain(cell.reason)}", self.closer)
        known = self.baseline is not None and self.baseline.knows(cell)
        accepted = accepted_by_suite(cell) or (self.baseline is not None and self.baseline.accepts(cell))
        if cell.status == "skipped" and not known and (accepted or not gates):
            self._note([])
            raise pytest.skip.Exception(plain(cell.reason), _use_item_location=True)

    def judge(self, benchmark: BenchmarkFixture | None) -> None:
        """Time where it is a cost, then judge against the reference and the baseline."""
        cell, said = self.judged, self._said()
        self._note(said)
        if benchmark is not None and cell.status == "ok":
            self._time(benchmark)
        elif cell.family == "cost":
            self._untimed("pytest-benchmark is not active")
        lines = self._broken_gates(said) + lines_of(failing(said, self.strict))
        if lines:
            raise self.failure(
                heading(cell, "do not ship" if cell.status == "ok" else cell.status), *lines, self.closer
            )

    def _note(self, said: list[Judgement]) -> None:
        """Add the cell's results to the properties for JUnit, and to the closing lines."""
        here, planned = machine(self.run.suite.targets), self.planned
        elsewhere = other_sums(self.run.plan, here, planned.variant, planned.target.name)
        self.user_properties += [*properties(self.judged, said), *sums_note(self.judged, elsewhere)]
        self.stash[TALLY] = Tally(
            suite=str(self.path),
            reference=[item.verdict for item in judge_gates(self.judged)],
            baseline=[item.verdict for item in said],
            untimed=0,
        )

    def _untimed(self, why: str) -> None:
        self.stash[TALLY]["untimed"] = 1
        self.add_report_section("call", "crbench", f"no latency history: {why}")

    def _said(self) -> list[Judgement]:
        """Against the baseline; timings taken beside other workers are not compared."""
        if self.baseline is None or self.baseline.update or self.samples is None:
            return []
        timings = not hasattr(self.config, "workerinput")
        return self.baseline.judge(self.judged, self.samples, timings=timings, path=relative(self.path, self.config))

    def _broken_gates(self, said: list[Judgement]) -> list[str]:
        """Against the reference; a gate that failed in the baseline too is told there, and fails nothing."""
        if said:
            return []
        return [*lines_of(failing(judge_gates(self.judged), self.strict)), *how_to_accept(self.judged)]

    def _time(self, benchmark: BenchmarkFixture) -> None:
        """One real forward pass, by pytest-benchmark."""
        benchmark.extra_info |= {**self.callspec.params, "figures": _table(self.judged), "quality": self._quality()}
        if benchmark.disabled:
            worker = hasattr(self.config, "workerinput")
            beside = "; these latencies were taken while other workers ran" if worker else ""
            self._untimed(f"pytest-benchmark is off (xdist, or --benchmark-disable){beside}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with self.run.forward(self.planned) as forward:
                benchmark(forward)

    def _quality(self) -> dict[str, Any]:
        """The quality figures of the same network on the same target."""
        mine = self.planned
        beside = [
            (other, self.run.known(other))
            for other in self.run.plan.cells
            if (other.variant, other.target, other.replicate) == (mine.variant, mine.target, mine.replicate)
            and other.use.metric.family != "cost"
        ]
        return {cell_name(other.id): _table(cell) for other, cell in beside if cell is not None and cell.status == "ok"}


def _table(cell: Cell) -> dict[str, dict[str, Any]]:
    return {name: figures(value) for name, value in cell.values.items()}


def _line_of(path: Path, variant: str) -> int:
    """The line, counted from 0, on which a variant is named; 0 where another file names it."""
    pattern = re.compile(rf"""\s*name\s*=\s*["']{re.escape(variant)}["']""")
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((index for index, line in enumerate(lines) if pattern.match(line)), 0)

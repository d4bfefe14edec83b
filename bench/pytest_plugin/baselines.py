"""The baseline of a suite: which file, how a cell is judged beside it, and how it is renewed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.gate import Baseline, OldBaseline, accept, judge_baseline, load_baseline, write_baseline
from bench.gate.skips import same_reason
from bench.pytest_plugin import store_url
from bench.pytest_plugin.recognition import RUNS, relative
from bench.results import Cell, Judgement, ReferenceResult, Results, SuiteInfo
from bench.store.samples import RunSamples
from bench.study import Study
from bench.wording import plain


def file_for(given: Path, suite: str) -> Path:
    """The file itself, or the suite's own in a folder."""
    return given / f"{suite}.json" if given.is_dir() or given.suffix != ".json" else given


@dataclass(frozen=True, eq=False)
class BaselineOfSuite:
    """The baseline of one suite's cells; ``baseline`` is None where it is yet to be written."""

    path: Path
    baseline: Baseline | None
    run: Study
    update: bool

    @cached_property
    def together(self) -> int:
        """The number of judgements of a whole run, the first figures' included, whichever of them are selected."""
        if self.baseline is None:
            return 1
        values = [value for cell in (*self.baseline.cells, *self.baseline.first) for value in cell.values.values()]
        return sum(max(1, len(value.gates)) for value in values)

    def knows(self, cell: Cell) -> bool:
        """Whether the cell is in it, to be compared."""
        return not self.update and self.baseline is not None and cell.id in self.baseline.by_id()

    def accepts(self, cell: Cell) -> bool:
        """Whether the cell's skip is accepted in it, or is about to be."""
        if self.update or self.baseline is None:
            return True
        return any(each.id == cell.id and same_reason(each.reason, cell.reason) for each in self.baseline.skipped)

    def judge(self, cell: Cell, samples: RunSamples, *, timings: bool, path: str) -> list[Judgement]:
        """One cell alone, as strictly as within the whole run: it does not matter which others are selected."""
        if self.baseline is None:
            return []
        known = {"cells": self.baseline.cells, "first": self.baseline.first}
        update: dict[str, Any] = {side: [each for each in cells if each.id == cell.id] for side, cells in known.items()}
        update["skipped"] = [each for each in self.baseline.skipped if each.id == cell.id]
        suite = SuiteInfo(name=self.run.suite.name, fingerprint="", path=path)
        results = Results(suite=suite, reference=ReferenceResult(), cells=[cell])
        alone = self.baseline.model_copy(update=update)
        return judge_baseline(results, samples, alone, timings=timings, together=self.together, suite_path=path)

    def absent(self) -> list[str]:
        """Cells of the baseline that the suite plans no more."""
        planned = {cell.id for cell in self.run.plan.cells}
        known = self.baseline
        cells = [] if known is None else [*known.cells, *known.skipped]
        return [plain(cell.label) for cell in cells if cell.id not in planned]


def _previous(path: Path) -> Baseline | None:
    """The baseline that is renewed; nothing is kept of one of an older version."""
    try:
        return load_baseline(path) if path.exists() else None
    except OldBaseline:
        return None


def baseline_for(config: pytest.Config, run: Study) -> BaselineOfSuite | None:
    """The baseline that the options name for this suite.

    Raises:
        UserError: it cannot be read, or is another suite's too.
    """
    given = config.getoption("crbench_baseline")
    if given is None:
        return None
    path = file_for(config.invocation_params.dir / given, run.suite.name)
    update = bool(config.getoption("crbench_update_baseline"))
    if not update and not path.exists():
        raise UserError.at(relative(path, config), "is no file", "--crbench-update-baseline writes it")
    baseline = _previous(path) if update else load_baseline(path)
    if baseline is not None and baseline.suite != run.suite.name:
        what = f"is of the suite {baseline.suite!r}, not of {run.suite.name!r}"
        raise UserError.at(str(given), what, "name this suite's, or a folder that holds NAME.json for each")
    for other, met in config.stash[RUNS].items():
        if met is not run and file_for(config.invocation_params.dir / given, met.suite.name) == path:
            what = f"cannot be the baseline of this suite and of {relative(other, config)}"
            raise UserError.at(relative(path, config), what, "name a folder; every suite needs a name of its own")
    return BaselineOfSuite(path, baseline, run, update)


def renew_for(config: pytest.Config, path: Path) -> str:
    """Accept what is stored of a suite as its new baseline, and say what changed; nothing is measured.

    Raises:
        UserError: a cell was not measured, or failed.
    """
    study = Study(path, store_url(config), config.getoption("crbench_device"), rerun="never")
    results = study.run()
    file = file_for(config.invocation_params.dir / config.getoption("crbench_baseline"), study.suite.name)
    cells = results.cells
    lacking = [cell for cell in cells if cell.status == "error"]
    if lacking:
        what = f"{len(lacking)} of {len(cells)} cells were not measured or failed, such as {plain(lacking[0].label)}"
        raise UserError.at(path.name, what, "run the whole suite")
    accepted = accept(results, results.samples, _previous(file))
    size = write_baseline(accepted.baseline, file)
    file_text = relative(file, config)
    added, changed, removed, skipped = (len(cells) for cells in accepted[1:])
    more = f", {skipped} accepted as skipped" if skipped else ""
    return f"{file_text}: {added} cells added, {changed} changed, {removed} removed{more}; {size} bytes"

"""The closing of a session, in the process that reports it: its last lines, and renewed baselines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.pytest_plugin.recognition import RUNS, STORE_NOTE, SUMS_NOTE, Tally

NOTES = (SUMS_NOTE, STORE_NOTE)


class Closing:
    """Hears every report, those of xdist's workers too."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.reference: Counter[str] = Counter()
        self.baseline: Counter[str] = Counter()
        self.suites: set[str] = set()
        self.untimed = 0
        self.lines: list[str] = []
        self.notes: dict[str, None] = {}  # in the order they came, each once

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count each cell once."""
        self.notes |= {str(text): None for name, text in report.user_properties if name in NOTES}
        tally: Tally | None = getattr(report, "crbench", None)
        if tally is not None:
            self.suites.add(tally["suite"])
            self.reference.update(tally["reference"])
            self.baseline.update(tally["baseline"])
            self.untimed += tally["untimed"]

    @pytest.hookimpl(trylast=True)  # everything measured is on disk
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Renew the baseline of every suite that was met; a session that could not has not succeeded."""
        lines = [line for run in self.config.stash.get(RUNS, {}).values() for line in run.notices()]
        self.notes |= dict.fromkeys(lines)
        if not self.config.getoption("crbench_update_baseline"):
            return
        from bench.errors import UserError
        from bench.pytest_plugin.baselines import renew_for

        for suite in sorted(self.suites):
            try:
                self.lines.append(renew_for(self.config, Path(suite)))
            except UserError as error:
                self.lines += [f"baseline not renewed: {problem}" for problem in error.problems]
                if session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of xdist has to say of the store."""
        self.notes |= dict.fromkeys(getattr(node, "workeroutput", {}).get(STORE_NOTE, ()))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Nothing that was inconclusive passes in silence."""
        lines = [*self._counted(), *self.lines, *self.notes]
        if lines:
            terminalreporter.section("crbench")
            for line in lines:
                terminalreporter.write_line(line)

    def _counted(self) -> list[str]:
        from bench.results.consequences import WORDS  # only where a suite was met

        fails = "they fail" if self.config.getoption("crbench_strict") else "--crbench-strict fails them"
        lines = []
        for against, counts in (("the reference", self.reference), ("the baseline", self.baseline)):
            gates = counts is self.reference
            parts = [
                f"{counts[word]} {(info.gate if gates else '') or word}" for word, info in WORDS.items() if counts[word]
            ]
            if parts:
                note = f" ({fails})" if counts["inconclusive"] else ""
                lines.append(f"against {against}: {', '.join(parts)}{note}")
        if self.suites and not lines:
            lines.append("no gate was judged: nothing was held against these cells")
        if self.untimed:
            lines.append(f"no latency history of {self.untimed} cost cells: pytest-benchmark is off, as beside xdist")
        return lines

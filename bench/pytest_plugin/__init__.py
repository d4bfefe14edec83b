"""The pytest plugin: suites as test items, and ``crbench_pair`` for tests of one's own.

This module is loaded by every pytest run of an environment that holds the package: it imports nothing heavy. What
collects, measures and judges is imported when the first suite is met.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.families import FAMILIES

if TYPE_CHECKING:
    from bench.pytest_plugin.pair import PairFixture

OTHER_MARKERS = {
    "slow": "crbench: needs input gradients, or trains a variant again",
    "gpu": "crbench: runs on an accelerator",
    "crbench(reference, variant, data, bounds, yardsticks, integer_sums, not_applicable)": "what crbench_pair compares",
}

GROUPED: pytest.StashKey[bool] = pytest.StashKey()


def markers() -> dict[str, str]:
    """Every marker with what it says: the families of metrics, and a few more."""
    return {name: f"crbench: {family.title}" for name, family in FAMILIES.items()} | OTHER_MARKERS


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options and the ini setting."""
    group = parser.getgroup("crbench", "crbench: compressed networks against their reference")
    group.addoption(
        "--crbench-baseline", metavar="FILE", type=Path,
        help="Judge against this baseline too; a folder holds one SUITE.json for every suite.",
    )  # fmt: skip
    group.addoption(
        "--crbench-update-baseline", action="store_true",
        help="Accept what is measured as the new baseline, once every cell of a suite is measured.",
    )  # fmt: skip
    group.addoption("--crbench-store", metavar="URL", help="Default: $CRBENCH_STORE or .crbench.")
    group.addoption("--crbench-device", metavar="DEVICE", default="cpu", help="Where torch runs: cpu, cuda, ...")
    group.addoption("--crbench-no-code", action="store_true", help="Refuse what imports code of others, as --no-code.")
    group.addoption("--crbench-strict", action="store_true", help="Fail what is inconclusive.")
    parser.addini("crbench_suites", "suites that are collected when their folder is: globs from the root", type="args")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and outside xdist's workers what counts and closes."""
    for name, text in markers().items():
        config.addinivalue_line("markers", f"{name}: {text}")
    if config.getoption("crbench_update_baseline") and config.getoption("crbench_baseline") is None:
        raise pytest.UsageError("--crbench-update-baseline needs --crbench-baseline FILE: what to write")
    if config.getoption("crbench_no_code"):
        from bench.registry import refusing_code

        refusing = ExitStack()
        refusing.enter_context(refusing_code())
        config.add_cleanup(refusing.close)
    if not hasattr(config, "workerinput"):
        from bench.pytest_plugin.closing import Closing

        config.pluginmanager.register(Closing(config), "crbench-closing")


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Note whether xdist is left to choose how items are distributed, before it chooses."""
    dist = getattr(config.option, "dist", None)
    suites = any(str(argument).partition("::")[0].endswith(".toml") for argument in config.args)
    config.stash[GROUPED] = dist in ("no", "loadgroup") and (suites or bool(config.getini("crbench_suites")))
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """``-n`` without ``--dist`` keeps a variant's cells in one worker, and so does ``--dist loadgroup``."""
    if not config.stash.get(GROUPED, False):
        return None
    from bench.pytest_plugin.scheduling import ByVariant

    return ByVariant(config, log)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A suite that is named on the command line, or met on the way and configured in ``crbench_suites``."""
    if file_path.suffix != ".toml":
        return None
    from bench.pytest_plugin.recognition import wanted

    if not wanted(file_path, parent):
        return None
    from bench.pytest_plugin.items import SuiteFile

    return SuiteFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a cell adds to the closing lines travels with its last report."""
    from bench.pytest_plugin.recognition import TALLY

    report = yield
    if report.when == "teardown" and TALLY in item.stash:
        report.__dict__["crbench"] = item.stash[TALLY]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Wait until everything measured is on disk."""
    from bench.pytest_plugin.recognition import RUNS, STORE_NOTE

    runs = session.config.stash.get(RUNS, {}).values()
    for run in runs:
        run.flush()
    if hasattr(session.config, "workeroutput"):  # of xdist: the process that reports hears what stores have to say
        session.config.workeroutput[STORE_NOTE] = [line for run in runs for line in run.notices()]


@pytest.fixture
def crbench_pair(request: pytest.FixtureRequest) -> PairFixture:
    """A reference and a variant, from the marker ``crbench`` or from a call of the fixture."""
    from bench.pytest_plugin.pair import PairFixture

    return PairFixture.of(request)


@pytest.fixture
def _crbench_passing_store() -> Generator[str]:
    """A store for what cannot be reused: it lasts as long as the test."""
    from bench.store.passing import passing_store

    with passing_store() as url:
        yield url


def store_url(config: pytest.Config) -> str:
    """The store of everything measured; a relative folder stands where pytest was started."""
    given = config.getoption("crbench_store")
    url = os.environ.get("CRBENCH_STORE", ".crbench") if given is None else given
    whole = ":" in url or url.startswith("~") or not url.strip()  # what is no plain path is judged as it was given
    return str(url) if whole else str(config.invocation_params.dir / url)

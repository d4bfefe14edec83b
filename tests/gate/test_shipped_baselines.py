"""The baselines that come with the project are all there, whole, and of suites that come with it too."""

import re
from pathlib import Path

import pytest

from bench.gate import load_baseline

ROOT = Path(__file__).resolve().parents[2]
BASELINES = ROOT / "reports" / "baselines"
NAMED = re.compile(r"(?:suites/[\w-]+\.toml|reports/baselines/[\w-]+\.json)")


@pytest.mark.parametrize("suite", ["digits", "digits-gate", "efficientnet-lite0", "fashion"])
def test_a_baseline_is_whole_and_of_a_shipped_suite(suite):
    baseline = load_baseline(BASELINES / f"{suite}.json")  # its checksums, and those of its arrays
    assert baseline.suite == suite
    assert baseline.cells
    assert (ROOT / "suites" / f"{suite}.toml").is_file()


@pytest.mark.parametrize("told", ["README.md", ".ci/run", "tox.ini", "docs/findings.md"])
def test_a_file_that_is_told_of_is_there(told):
    missing = sorted(
        name for name in set(NAMED.findall((ROOT / told).read_text("utf-8"))) if not (ROOT / name).is_file()
    )
    assert missing == []

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from bench.families import FAMILIES, Family, FamilyInfo
from bench.metrics.base import metrics
from bench.pytest_plugin import markers
from bench.report.leaderboard import leaderboard
from bench.results import FamilyResult
from tests.report.sample import sample

INFO = FamilyInfo("Does it remember?", ("members.attack",))


def test_every_family_has_a_headline_that_has_a_gap() -> None:
    assert set(FAMILIES) == set(get_args(Family))
    for family, info in FAMILIES.items():
        for metric in map(metrics.get, info.headlines):
            assert metric.family == family
            assert (metric.headline is None) == (family == "cost")
        assert info.title.endswith("?")


def test_listing_metrics_pays_for_no_library() -> None:
    code = "import sys; from bench.metrics.base import metrics; metrics.names(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "onnx", "onnxruntime", "scipy", "sklearn", "brevitas", "captum", "foolbox", "eagerpy"}
    assert "bench.metrics.adversarial.pgd" in done.stdout.split()
    assert not heavy & set(done.stdout.split())


def test_a_new_family_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(FAMILIES.items())
    monkeypatch.setattr("bench.families.FAMILIES", made := dict([*rows[:2], ("members", INFO), *rows[2:]]))
    monkeypatch.setattr("bench.pytest_plugin.FAMILIES", made)
    monkeypatch.setattr("bench.report.leaderboard.build.FAMILIES", made)
    assert markers()["members"] == "crbench: Does it remember?"
    results = sample()
    results.variants[0].families["members"] = FamilyResult(gap=0.5)
    assert leaderboard(results).families == (
        "fidelity", "lipschitz", "members", "adversarial", "attribution", "uncertainty",
    )  # fmt: skip


def test_costs_have_no_gap_and_families_of_others_come_last() -> None:
    results = sample()
    results.variants[0].families |= {"cost": FamilyResult(), "own": FamilyResult(gap=0.5)}
    assert leaderboard(results).families == (*(name for name in FAMILIES if name != "cost"), "own")

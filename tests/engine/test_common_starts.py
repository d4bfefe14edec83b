"""Attacks on pairs from the starts that all networks have, and what is said of masked gradients before the figures."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from bench.engine.common_starts import common_starts
from bench.report.html import render_html
from bench.report.terminal import render
from bench.study import Study
from tests.engine.test_masked_networks import NETWORKS
from tests.suite.documents import write

LEVELS = """

class Levels(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = linear()
    def forward(self, x): return self.network((x * 2).round() / 2)
"""
SUITE = """
[data]
loader = "digits"
evaluation = 150
calibration = 64

[reference]
model = "mlp"
hidden = [24]
recipe = { epochs = 4 }

[yardstick]
retrained = 2

[[target]]
name = "torch"

[[variant]]
name = "noise"
steps = [{ use = "weight-noise", sigma = 0.3 }]

[[variant]]
name = "levels"
factory = "levels_nets:Levels"

[[variant]]
name = "noisier"
steps = [{ use = "weight-noise", sigma = 0.6 }]

[[metric]]
use = "adversarial.difference"
samples = 60
epsilon = 0.1
step = 0.02
steps = 4

[[metric]]
use = "adversarial.masking"
samples = 100
epsilon = 0.2
steps = 5
queries = 40
"""
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("common")
    write(folder, NETWORKS + LEVELS, "levels_nets.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield Study(write(folder, SUITE), folder / "store")


@pytest.fixture(scope="module")
def measured(study):
    return study.run()


def told(results, variant):
    (cell,) = (c for c in results.cells if c.variant == variant and c.metric == "adversarial.difference")
    return cell


def test_by_hand() -> None:
    assert common_starts([np.array([1, 1, 0, 1]), np.array([0, 1, 1, 1])]).tolist() == [0, 1, 0, 1]


def test_every_network_is_judged_from_the_same_starts(study, measured) -> None:
    cells = {name: told(measured, name) for name in ("noise", "levels", "noisier")}
    own = {name: cell.details["variant"]["started"] for name, cell in cells.items()}
    shared = {name: cell.details["common_starts"] for name, cell in cells.items()}
    assert len({entry["started"] for entry in shared.values()}) == 1
    started = shared["noise"]["started"]
    assert 0 < started < min(own.values())  # all three, and both retrained ones, get fewer right than any pair
    for name, entry in shared.items():
        assert entry["networks"] == ["noise", "levels", "noisier"]
        assert entry["diva"]["joint_success"]["n"] == started
        assert (
            entry["diva"]["joint_success"]["events"]
            <= cells[name].details["variant"]["diva"]["joint_success"]["events"]
        )
        assert [mark["started"] for mark in entry["yardsticks"]] == [started, started]
    assert shared["noise"]["yardsticks"] == shared["noisier"]["yardsticks"]


def test_a_second_run_says_the_same_from_the_store(study, measured) -> None:
    again = study.run()
    assert again.run.reused == len(again.cells)
    assert [cell.details for cell in again.cells] == [cell.details for cell in measured.cells]


def test_one_variant_alone_shares_its_starts_with_the_yardsticks(study, measured) -> None:
    alone = told(study.run(only="noise"), "noise").details
    (planned,) = (cell for cell in study.plan.cells if cell.label.startswith("noise/torch/adversarial.difference"))
    evidence = study.engine.evidence(planned)
    own, *marks = (arrays["started"] for arrays in (evidence.variant[0], *(mark[0] for mark in evidence.yardsticks)))
    assert alone["common_starts"]["networks"] == ["noise"]
    assert alone["variant"]["started"] == own.sum()
    assert alone["common_starts"]["started"] == np.logical_and.reduce([own, *marks]).sum() < own.sum()


def test_what_is_masked_is_said_before_the_figures(measured) -> None:
    (line,) = (line for line in measured.run.warnings if "masked" in line)
    assert line.startswith("levels on torch: gradients are masked (")
    assert line.endswith("report reported_robust_error")
    shown = StringIO()
    render(measured, Console(file=shown, width=400))
    head = line.split(" (")[0]
    assert head in " ".join(shown.getvalue().split())
    assert head in render_html(measured)


@pytest.mark.parametrize("part", ["whole", "without the metric that tells"])
def test_what_is_masked_has_no_rank_among_the_robust(study, measured, part) -> None:
    results = measured if part == "whole" else study.run(only="*/adversarial.difference*")
    held = [item for item in results.ranks if item.family == "adversarial"]
    assert held
    for item in held:
        assert {entry.variant for entry in item.entries} <= {"noise", "noisier"}
        (reason,) = (left.reason for left in item.left_out if left.variant == "levels")
        (cell,) = (c for c in results.cells if (c.variant, c.metric) == ("levels", item.metric))
        if cell.values[item.value].ci is not None:
            assert reason.startswith("potentially unreliable: gradients are masked (")
    assert any(len(item.entries) == 2 for item in held)

"""What ``check`` tells of gates, on the tiny suite."""

import pytest

from bench.gate.sight import sight, sights
from bench.suite.load import load_suite

GATES = """gate = [
  { value = "accuracy", max_harm = 0.05 },
  { value = "accuracy", max_harm = 0.3, per = "class" },
  { value = "accuracy", min_value = 0.5 },
]"""


@pytest.fixture
def found(measured):
    def sights_of(old='gate = [{ value = "accuracy", max_harm = 0.5 }]', new=GATES, store=".crbench"):
        measured.write(old, new)
        return list(sights(load_suite("tiny.toml"), store, "cpu"))

    return sights_of


def test_before_a_run_the_spread_is_assumed_and_said_to_be(found):
    whole, single, floor = found(store="memory://nothing")
    assert (whole.n, single.n) == (150, 15)
    assert {item.source for item in (whole, single, floor)} == {"assumed"}
    assert "assumed before a first run" in whole.because
    assert whole.blind  # 150 samples cannot see 5 points
    assert whole.finds > 0.1
    assert floor.needs is None  # the reference's own figure is not known


def test_a_former_run_tells_the_spread(found):
    whole, single, floor = found()
    assert {item.source for item in (whole, single, floor)} == {"former"}
    assert "3 stored cells" in whole.because
    assert whole.n < whole.needs
    assert floor.finds < 0.5
    assert floor.needs < 150
    assert not floor.blind


def test_changes_gaps_and_means(found, measured):
    gates = """use = "fidelity.predictions"
gate = [
  { value = "flip_rate", max_change = 0.1 },
  { value = "js", max_gap = 1.0 },
  { value = "js", max_change = 0.01 },
  { value = "logit_relative_error", max_change = 0.5 },
]"""
    flips, gap, js, logits, _ = found('use = "fidelity.predictions"', gates)
    assert flips.finds == pytest.approx(0.1 + 2.8016 * 0.3 / 150**0.5, abs=1e-4)
    assert gap.finds > 1.0
    assert "4 yardsticks rule it" in gap.because
    assert js.finds > 0.01
    assert logits.finds > 0.5
    lines = sight(load_suite("tiny.toml"), "memory://none", "cpu")
    assert sum("not known before a first run" in line for line in lines) == 3
    assert len(lines) == 1 + 5


def test_no_gate_no_line(measured):
    measured.write('gate = [{ value = "accuracy", max_harm = 0.5 }]')
    assert sight(load_suite("tiny.toml"), ".crbench", "cpu") == []

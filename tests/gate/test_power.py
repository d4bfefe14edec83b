"""What ``check`` tells of gates, on the tiny suite."""

import numpy as np
import pytest
from scipy.stats import binom

from bench.gate.power import few_yardsticks, power_lines
from bench.stats.power import detectable_rate, samples_for_rate
from bench.stats.proportions import clopper_pearson
from bench.study import Study

GATES = """gate = [
  { value = "accuracy", max_harm = 0.05 },
  { value = "accuracy", max_harm = 0.3, per = "class" },
  { value = "accuracy", min_value = 0.6 },
]"""
CALIBRATION = """use = "uncertainty.calibration"
gate = [
  { value = "nll", max_value = 1.0 },
  { value = "nll", max_harm = 0.1 },
]

[[metric]]
use = "cost" """


@pytest.fixture
def found(measured):
    def sights_of(old='gate = [{ value = "accuracy", max_harm = 0.5 }]', new=GATES, store=".crbench"):
        measured.write(old, new)
        return Study("tiny.toml", store).power()

    return sights_of


def power_lines_of(store):
    study = Study("tiny.toml", store)
    return power_lines(study.plan, study.dataset, study.store)


def test_before_a_run_the_spread_is_assumed_and_said_to_be(found):
    whole, single, floor = found(store="memory://nothing")
    assert (whole.n, single.n) == (150, 15)
    assert [item.source for item in (whole, single, floor)] == ["assumed", "assumed", "exact"]
    assert "assumed before a first run" in whole.because
    assert whole.blind  # 150 samples cannot see 5 points
    assert whole.finds > 0.1
    assert floor.needs is None  # the reference's own figure is not known


def test_a_former_run_tells_the_spread(found):
    whole, single, floor = found()
    assert [item.source for item in (whole, single, floor)] == ["former", "former", "exact"]
    assert "3 stored cells" in whole.because
    assert whole.n < whole.needs
    failing = max(k for k in range(151) if clopper_pearson(k, 150).high < 0.6)
    assert binom.cdf(failing, 150, floor.finds) == pytest.approx(0.8)
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
    assert flips.finds == pytest.approx(detectable_rate(150, 0.1))  # 24 of 150 is [.105, .229]: P(X >= 24) = .8
    assert binom.sf(23, 150, flips.finds) == pytest.approx(0.8)
    assert flips.needs == samples_for_rate(0.2, 0.1)
    assert gap.finds > 1.0
    assert "4 yardsticks rule it" in gap.because
    assert js.finds > 0.01
    assert logits.finds > 0.5
    lines = power_lines_of("memory://none")
    assert sum("not known before a first run" in line for line in lines) == 3
    assert len(lines) == 1 + 5 + 1
    assert lines[-1].startswith("warning: few yardsticks: a gate on a gap fails beyond 3.6 spreads of 4")


def test_own_means_and_harms_with_few_samples(measured):
    """After a run: a ceiling of NLL by the stored spread of the figure itself; what 150 samples are worth is said."""
    gated = """[[metric]]
use = "uncertainty.calibration"
gate = [
  { value = "nll", max_value = 1.5 },
  { value = "nll", max_harm = 0.1 },
]

[[metric]]
use = "adversarial.pgd\""""
    measured.write('[[metric]]\nuse = "adversarial.pgd"', gated)
    unknown, _ = [item for item in Study("tiny.toml").power() if item.value == "nll"]
    assert unknown.source == "unknown"
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    ceiling, harm = [item for item in Study("tiny.toml").power() if item.value == "nll"]
    widths = [
        (cell["values"]["nll"]["own_ci"][1] - cell["values"]["nll"]["own_ci"][0]) / 3.919928
        for cell in measured.results()["cells"]
        if cell["metric"] == "uncertainty.calibration"
    ]
    assert ceiling.finds == pytest.approx(1.5 + 2.8016 * float(np.median(widths)), rel=1e-3)
    assert "cover some 93 %" in harm.because
    assert "cover" not in ceiling.because


def test_no_gate_no_line(measured):
    measured.write('gate = [{ value = "accuracy", max_harm = 0.5 }]')
    assert power_lines_of(".crbench") == []


@pytest.mark.parametrize(
    ("count", "says"), [(0, "no limits"), (3, "no limits"), (4, "3.6 spreads of 4"), (7, "2.6"), (8, "")]
)
def test_few_yardsticks_are_told_where_gaps_are_gated(count, says):
    said = few_yardsticks(count)
    assert says in said
    assert bool(said) == (count < 8)

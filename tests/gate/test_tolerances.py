from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gate import judge_gate
from bench.results import ValueResult
from tests.gate.handmade import gap, harm


@pytest.mark.parametrize(
    ("value", "rule", "tolerance", "expected"),
    [
        (harm(0.01, 0.03), "max_harm", 0.03, "passed"),  # the far end may stand on the tolerance
        (harm(0.01, 0.0301), "max_harm", 0.03, "inconclusive"),
        (harm(0.0301, 0.09), "max_harm", 0.03, "failed"),
        (harm(0.03, 0.09), "max_harm", 0.03, "inconclusive"),  # the near end on it breaks nothing yet
        (harm(-0.09, -0.03), "max_harm", 0.0, "passed"),
        (harm(None, 0.02), "max_harm", 0.03, "passed"),
        (harm(None, 0.09), "max_harm", 0.03, "inconclusive"),
        (harm(0.05, None), "max_harm", 0.03, "failed"),
        (harm(0.01, None), "max_harm", 0.03, "inconclusive"),
        (harm(kind="pair"), "max_harm", 0.03, "failed"),
        (gap(0.2, (0.1, 0.4)), "max_gap", 0.5, "passed"),
        (gap(0.6, (0.51, 0.8)), "max_gap", 0.5, "failed"),
        (gap(0.5, (0.4, 0.6)), "max_gap", 0.5, "inconclusive"),
        (gap(None, (None, 0.02)), "max_gap", 0.5, "passed"),
        (gap(None, (None, 0.9)), "max_gap", 0.5, "inconclusive"),
        (gap(0.9, None), "max_gap", 0.5, "inconclusive"),
        (gap(0.1, (0.0, 0.2)), "max_change", 0.2, "passed"),
        (gap(0.1, (0.0, 0.2)), "max_change", 0.04, "failed"),
        (gap(0.1, (0.0, 0.2)), "max_change", 0.1, "inconclusive"),
    ],
)
def test_the_whole_interval_decides(value, rule, tolerance, expected):
    assert judge_gate(value, rule, tolerance).verdict == expected


@pytest.mark.parametrize(
    ("value", "rule", "reason"),
    [
        (harm(estimate=None, ci=None, reason="no label"), "max_harm", "no label"),
        (harm(ci=None, reason="plug-in ECE has none"), "max_harm", "plug-in ECE has none"),
        (gap(None, None, reason="no yardstick"), "max_gap", "no yardstick"),
        (gap(0.9, None, reason="three yardsticks: the points alone"), "max_gap", "the points alone"),
        (harm(variant=None, reason="not finite"), "min_value", "not finite"),
        (ValueResult(kind="cost", estimate=2.0), "max_harm", "does not judge a cost"),
        (harm(), "max_gap", "does not judge a quality"),
    ],
)
def test_without_an_interval_nothing_is_decided_and_the_reason_is_told(value, rule, reason):
    judged = judge_gate(value, rule, 1e9 if rule != "min_value" else -1e9)
    assert judged.verdict == "inconclusive"
    assert reason in judged.because


def test_a_gap_passes_beside_the_mean_yardstick_and_fails_beside_one_more():
    """Gap 1.4 [1.1, 1.8]; a further retrained network would surely be passed from a lower limit above 1 on."""
    open_, broken = gap(1.4, (1.1, 1.8), gap_further=0.8), gap(1.4, (1.1, 1.8), gap_further=1.04)
    judged = judge_gate(open_, "max_gap", 1.0)
    assert judged.verdict == "inconclusive"
    assert judged.because.endswith(
        "further than the mean yardstick, not surely further than one more would be (≥ 0.80)"
    )
    judged = judge_gate(broken, "max_gap", 1.0)
    assert judged.verdict == "failed"
    assert judged.because == "gap 1.40 [1.10, 1.80] (≥ 1.0 beside one further yardstick), tolerance 1"
    assert judge_gate(open_, "max_gap", 1.8).verdict == "passed"  # the upper end is the shown one


def test_a_gap_of_which_only_the_mean_is_known_cannot_fail():
    """Results of older versions hold no limit beside a further yardstick."""
    assert judge_gate(gap(1.4, (1.1, 1.8), gap_further=None), "max_gap", 1.0).verdict == "inconclusive"


def test_least_and_greatest_values_use_the_interval_of_the_own_figure():
    accuracy = ValueResult(
        kind="quality", unit="proportion", better="higher", reference=0.9, variant=0.85, own_ci=(0.81, 0.88),
        estimate=0.05, ci=(0.049, 0.051),
    )  # fmt: skip
    assert judge_gate(accuracy, "min_value", 0.81).verdict == "passed"
    assert judge_gate(accuracy, "min_value", 0.85).verdict == "inconclusive"
    assert judge_gate(accuracy, "min_value", 0.8801).verdict == "failed"
    assert judge_gate(accuracy, "min_value", 0.8801).because == "85.0 % [81.0, 88.0], at least 88.01"
    loss = ValueResult(kind="quality", better="lower", reference=1.0, variant=1.3, own_ci=(1.2, 1.5), unit="nats")
    assert judge_gate(loss, "max_value", 1.5).verdict == "passed"
    assert judge_gate(loss, "max_value", 1.3).verdict == "inconclusive"
    assert judge_gate(loss, "max_value", 1.19).verdict == "failed"
    assert judge_gate(loss, "max_value", 1.19).because == "1.30 nats [1.20, 1.50], at most 1.19"


def test_without_an_interval_of_its_own_a_figure_is_not_judged():
    norm = ValueResult(kind="quality", better="lower", reference=10.0, variant=20.0, estimate=0.693, ci=(0.5, 0.9))
    judged = judge_gate(norm, "max_value", 1.0)
    assert judged.verdict == "inconclusive"
    assert "its own figure has none" in judged.because


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1), st.sampled_from(["max_harm", "max_change"])
)  # fmt: skip
def test_no_verdict_contradicts_the_interval(centre, left, right, tolerance, rule):
    kind = "quality" if rule == "max_harm" else "change"
    value = ValueResult(kind=kind, estimate=centre, ci=(centre - left, centre + right))
    found = judge_gate(value, rule, tolerance).verdict
    expected = "passed" if centre + right <= tolerance else "failed" if centre - left > tolerance else "inconclusive"
    assert found == expected

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gate import judge_gate, own_interval
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


def test_minimum_value_uses_the_harm_interval_shifted_by_the_reference():
    accuracy = ValueResult(
        kind="quality", unit="proportion", better="higher", reference=0.9, variant=0.85, estimate=0.05, ci=(0.02, 0.09)
    )
    low, high = own_interval(accuracy)
    assert (low, high) == pytest.approx((0.81, 0.88))
    assert judge_gate(accuracy, "min_value", 0.81 - 1e-9).verdict == "passed"
    assert judge_gate(accuracy, "min_value", 0.85).verdict == "inconclusive"
    assert judge_gate(accuracy, "min_value", 0.8801).verdict == "failed"
    assert judge_gate(accuracy, "min_value", 0.8801).because == "85.0 % [81.0, 88.0], at least 88.01"


def test_minimum_value_where_lower_is_better_shifts_the_other_way():
    loss = ValueResult(kind="quality", better="lower", reference=1.0, variant=1.3, estimate=0.3, ci=(0.2, 0.5))
    assert own_interval(loss) == pytest.approx((1.2, 1.5))


def test_minimum_value_refuses_a_harm_on_the_log():
    norm = ValueResult(kind="quality", better="lower", reference=10.0, variant=20.0, estimate=0.693, ci=(0.5, 0.9))
    judged = judge_gate(norm, "min_value", 1.0)
    assert judged.verdict == "inconclusive"
    assert "no plain difference" in judged.because


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1), st.sampled_from(["max_harm", "max_change"])
)  # fmt: skip
def test_no_verdict_contradicts_the_interval(centre, left, right, tolerance, rule):
    kind = "quality" if rule == "max_harm" else "change"
    value = ValueResult(kind=kind, estimate=centre, ci=(centre - left, centre + right))
    found = judge_gate(value, rule, tolerance).verdict
    expected = "passed" if centre + right <= tolerance else "failed" if centre - left > tolerance else "inconclusive"
    assert found == expected

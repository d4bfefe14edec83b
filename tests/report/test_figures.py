from __future__ import annotations

import pytest

from bench.report.figures import (
    SAME,
    alarm_words,
    estimate,
    figure_of,
    gap,
    share,
)
from bench.report.leaderboard import GapEntry, Mark
from bench.report.leaderboard.marks import mark_of, within_arithmetic
from bench.results import BoundInfo, GateResult, ValueReference, ValueResult

LOWER = BoundInfo(kind="lower", norm="l2", domain="samples")


def change(number, floor, **more) -> ValueResult:
    return ValueResult(
        **{"kind": "change", "estimate": number, "ci": (0.0, 2 * number), "numerical_floor": floor, **more}
    )


def test_below_the_floor_two_networks_are_the_same():
    assert estimate(change(1e-8, 1e-8)).value == SAME
    assert estimate(change(1.1e-8, 1e-8)).value != SAME
    assert not within_arithmetic(change(1e-8, None))


def test_a_count_of_zero_shows_its_upper_limit_not_sameness():
    zero = change(0.0, 0.0, ci=(0.0, 0.0102), interval="exact")
    assert str(estimate(zero)) == "0.0 % [0.0, 1.0]"


def test_a_harm_is_the_same_only_with_its_whole_interval():
    still = ValueResult(kind="quality", estimate=0.0, ci=(-0.1, 0.1), numerical_floor=0.0)
    assert not within_arithmetic(still)
    assert within_arithmetic(still.model_copy(update={"ci": (0.0, 0.0)}))
    assert not within_arithmetic(still.model_copy(update={"ci": None}))
    accuracy = ValueResult(kind="quality", estimate=0.0, ci=(0.0, 0.0), numerical_floor=0.0, interval="score")
    assert not within_arithmetic(accuracy)


def _gate(verdict) -> GateResult:
    return GateResult(rule="max_harm", tolerance=0.1, verdict=verdict, because="b")


@pytest.mark.parametrize(
    ("ci", "verdicts", "expected"),
    [
        ((0.01, 0.2), [], "worse"),
        ((-0.2, -0.01), [], "better"),
        ((-0.2, 0.01), [], ""),
        ((0.0, 0.2), [], ""),
        (None, [], ""),
        ((0.01, 0.2), ["passed"], "worse"),
        ((0.01, 0.2), ["passed", "inconclusive"], "inconclusive"),
        ((-0.2, -0.1), ["inconclusive", "failed"], "failed"),
    ],
)
def test_marks(ci, verdicts, expected):
    value = ValueResult(kind="quality", estimate=0.1, ci=ci, p_adjusted=0.05, gates=[_gate(v) for v in verdicts])
    assert mark_of(value) == expected


@pytest.mark.parametrize("p_adjusted", [0.0501, None])
def test_a_harm_that_is_sure_only_when_looked_at_alone_has_no_mark(p_adjusted):
    assert mark_of(ValueResult(kind="quality", estimate=0.1, ci=(0.01, 0.2), p_value=0.03, p_adjusted=p_adjusted)) == ""


def test_a_harm_that_float32_cannot_resolve_has_no_sign():
    tiny = ValueResult(kind="quality", reference=0.07, estimate=-4.7e-9, ci=(-8.5e-9, -6.5e-10), p_adjusted=0.01)
    assert mark_of(tiny) == ""
    assert mark_of(tiny.model_copy(update={"reference": 1e-3})) == "better"


def test_a_change_is_never_called_worse():
    assert mark_of(ValueResult(kind="change", estimate=0.1, ci=(0.05, 0.2))) == ""


@pytest.mark.parametrize("kind", ["change", "quality", "pair", "bound", "cost"])
def test_what_is_null_shows_a_dash_and_its_reason(kind):
    figure = estimate(ValueResult(kind=kind, reason="not\nknown"))
    assert (str(figure), figure.reason, figure.sort) == ("–", "not known", None)
    assert estimate(ValueResult(kind=kind)).reason


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [((0.8, 1.4), "[0.800, 1.40]×"), ((None, 1.4), "≤ 1.40×"), ((0.8, None), "≥ 0.800×"), ((None, None), "–")],
)
def test_a_bound_leaves_an_interval_for_the_true_ratio(ratio, expected):
    info = BoundInfo(kind="certified", norm="l2", domain="all inputs", ratio=ratio)
    assert str(estimate(ValueResult(kind="bound", bound=info, reference=2.0, variant=3.0))) == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [("lower", "≥ 3.14"), ("certified", "≤ 3.15"), ("estimate", "about 3.14")]
)
def test_a_bounds_own_figure_says_which_side_and_never_too_much(kind, expected):
    info = LOWER.model_copy(update={"kind": kind})
    assert figure_of(ValueResult(kind="bound", variant=3.1416, bound=info), "variant").value == expected


def test_gaps():
    assert str(gap(0.4234, (0.301, 0.612))) == "0.42 [0.30, 0.61]"
    assert str(gap(None, (None, 0.0183))) == "≤ 0.019"
    assert str(gap(0.87, None)) == "0.87"
    assert gap(None, None, "ten events needed").reason == "ten events needed"


@pytest.mark.parametrize(("alarm", "expected"), [(1.0, True), (0.999, False), (None, False)])
def test_an_alarm_is_marked_from_one_on(alarm, expected):
    assert GapEntry("fidelity", gap=2.0, low=1.0, high=4.0, alarm=alarm).alarming is expected
    assert gap(2.0, (1.0, 4.0), "", Mark.ALARM).sign == "!"


def test_alarm_words_round_down_and_name_the_value():
    words = alarm_words(1.199, ValueReference(metric="adversarial.pgd", value="verdict_flip_rate"))
    assert words == "verdict flip rate at least 1.1 of one more yardstick"
    assert alarm_words(None, None) == ""
    assert alarm_words(0.5, None) == "one of its gaps at least 0.50 of one more yardstick"


def test_p_values_are_never_zero():
    assert (share(0.0), share(0.04), share(None)) == ("< 0.001", "0.040", "–")

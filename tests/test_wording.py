from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results import ValueResult
from bench.wording import NOTHING, decimals, difference, fixed, limit, own, plain, significant, tolerance, with_interval

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-9)


@given(NUMBERS)
def test_an_upper_limit_is_never_below_the_number_and_a_lower_never_above(number):
    upper, lower = (float(limit(number, side).split()[1]) for side in ("upper", "lower"))
    slack = 1e-9 * abs(number)
    assert lower - slack <= number <= upper + slack
    assert upper - lower <= 0.2 * abs(number) + slack


@given(NUMBERS, st.floats(1e-6, 1e5))
def test_an_interval_keeps_two_digits_of_its_width(centre, width):
    _, interval = with_interval(centre, (centre - width / 2, centre + width / 2))
    low, high = (float(part) for part in interval.strip("[]").split(", "))
    assert abs((high - low) - width) <= 0.15 * width + 1.1e-6
    assert "-0.0," not in interval


@given(st.floats(0.001, 99999.0), st.integers(2, 6))
def test_significant_digits_lose_no_more_than_they_say(number, digits):
    assert math.isclose(float(significant(number, digits)), number, rel_tol=0.51 * 10.0 ** (1 - digits))


def test_not_a_number_is_never_written():
    assert significant(math.nan) == significant(math.inf) == NOTHING
    assert decimals(math.inf) == 6


def test_negative_zero_has_no_sign():
    assert (fixed(-0.0, 2), significant(-0.0)) == ("0.00", "0")
    assert with_interval(-0.0001, (-0.3, 0.3), signed=True)[0] == "0.00"
    assert with_interval(0.0001, (-0.3, 0.3), signed=True)[0] == "0.00"


@pytest.mark.parametrize(
    ("value", "number", "limits", "expected"),
    [
        ({"kind": "quality", "unit": "proportion"}, 0.061, (0.032, 0.09), ("+6.1 points", "[3.2, 9.0]")),
        ({"kind": "quality", "unit": "proportion"}, -0.061, (-0.09, -0.032), ("-6.1 points", "[-9.0, -3.2]")),
        ({"kind": "change", "interval": "exact"}, 0.0, (0.0, 0.0102), ("0.0 %", "[0.0, 1.0]")),
        ({"kind": "change", "unit": "proportion"}, 0.042, (0.029, 0.06), ("4.2 %", "[2.9, 6.0]")),
        ({"kind": "quality", "unit": "nats"}, 0.0123, (0.0041, 0.0211), ("+0.012 nats", "[0.004, 0.021]")),
        ({"kind": "change", "unit": "nats"}, 3.2e-7, (2.9e-7, 3.8e-7), ("3.2e-7 nats", "[2.9e-7, 3.8e-7]")),
        ({"kind": "pair", "unit": "proportion"}, 0.05, (None, 0.0912), ("+5.0 points", "≤ 9.2")),
        ({"kind": "quality"}, 12345.6, (12000.0, 13000.0), ("+12346", "[12000, 13000]")),
    ],
)
def test_estimates_in_their_own_unit(value, number, limits, expected):
    assert difference(ValueResult(**value), number, limits) == expected


@pytest.mark.parametrize(
    ("unit", "kind", "number", "expected"),
    [
        ("proportion", "quality", 0.9722, "97.2 %"),
        ("bytes", "cost", 532.0, "532 B"),
        ("bytes", "cost", 2_345_678.0, "2.35 MB"),
        ("ms", "cost", 0.2134, "0.213 ms"),
        ("MACs", "cost", 1_240_000.0, "1.24 M MACs"),
        ("", "cost", 25_450.0, "25.4 k"),
        ("", "cost", 12.0, "12.0"),
        ("nats", "quality", 0.094, "0.0940 nats"),
    ],
)
def test_own_figures(unit, kind, number, expected):
    assert own(ValueResult(kind=kind, unit=unit), number) == expected


def test_a_tolerance_reads_in_the_unit_of_its_figure():
    assert tolerance(ValueResult(kind="quality", interval="score"), 0.035) == "3.5"
    assert tolerance(ValueResult(kind="quality", unit="nats"), 0.035) == "0.035"


def test_text_from_outside_is_one_printable_line():
    assert plain("a\r\n\tb\x00\x1b[2Jc\u2028d\u202ee\ud800") == "a b [2Jc d e"

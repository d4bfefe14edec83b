from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.report.board_text import GapText
from bench.report.figures import gap
from bench.report.leaderboard import GapEntry
from bench.report.strip import LEFT, RIGHT, position, strip
from bench.report.yardsticks import YARDSTICKS

WORDS = YARDSTICKS["retrained"]


def row(number, limits, alarm=None, band=()) -> GapText:
    low, high = limits or (None, None)
    numbers = GapEntry("fidelity", gap=number, low=low, high=high, alarm=alarm, yardsticks=band)
    return GapText("fidelity", "JS", gap(number, limits), "", numbers)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_positions_keep_order_and_stay_on_the_strip(first, second):
    low, high = sorted((position(first), position(second)))
    assert LEFT <= low <= high <= RIGHT
    assert (position(min(first, second)), position(max(first, second))) == (low, high)


def test_an_ordinary_gap_has_point_and_interval():
    drawn = strip(row(0.5, (0.25, 1.0), alarm=0.25, band=(0.8, 1.2)), WORDS)
    assert (drawn.point, drawn.interval.start, drawn.interval.end) == (position(0.5), position(0.25), position(1.0))
    assert (drawn.alarm, drawn.band.start, drawn.band.end) == (position(0.25), position(0.8), position(1.2))
    assert not drawn.beyond
    assert not drawn.upper_only


def test_an_upper_limit_reaches_from_zero_and_has_no_point():
    drawn = strip(row(None, (None, 0.3)), WORDS)
    assert (drawn.point, drawn.interval.start, drawn.upper_only) == (None, position(0), True)
    assert "≤ 0.30" in drawn.words


def test_beyond_the_end_an_arrow_stands_for_the_point():
    drawn = strip(row(3.0, (1.0, 5.0)), WORDS)
    assert (drawn.point, drawn.beyond, drawn.interval.start) == (None, True, position(1.0))
    assert strip(row(1.5, (1.0, 5.0)), WORDS).point == position(1.5)


def test_a_point_alone_has_no_interval():
    drawn = strip(row(0.7, None), WORDS)
    assert (drawn.point, drawn.interval, drawn.upper_only) == (position(0.7), None, False)


def test_no_gap_draws_nothing_and_says_so():
    drawn = strip(row(None, None), WORDS)
    assert (drawn.point, drawn.interval, drawn.alarm, drawn.beyond) == (None, None, None, False)
    assert "no gap" in drawn.words

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.interval import NO_INTERVAL, Interval
from bench.stats.noninferiority import decide, not_worse

LIMIT = st.floats(-1, 1)


@given(LIMIT, LIMIT, st.floats(0, 0.5), st.floats(0, 1), st.floats(0, 1))
def test_no_word_contradicts_the_interval(a, b, margin, worse, better):
    interval = Interval(min(a, b), max(a, b), "score")
    word = decide(interval, margin, worse, better)
    assert (word == "regressed") == (worse <= 0.025)
    if word == "same":
        assert -margin <= interval.low <= interval.high <= margin
    if word == "improved":
        assert better <= 0.025


def test_without_an_interval_equivalence_is_not_shown():
    assert decide(NO_INTERVAL, 0.5, 0.9, 0.9) == "inconclusive"
    assert decide(Interval(None, 0.1, "exact"), 0.5, 0.9, 0.9) == "inconclusive"
    assert not not_worse(NO_INTERVAL, 0.5)
    with pytest.raises(ValueError, match="negative"):
        decide(NO_INTERVAL, -0.1, 1, 1)

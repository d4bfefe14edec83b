import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.mann_whitney import mann_whitney, shift_interval

SAMPLES = st.lists(st.integers(0, 20), min_size=2, max_size=40)


@settings(deadline=None)  # the first call imports scipy.stats
@given(SAMPLES, SAMPLES)
def test_it_is_scipys_with_ties_and_continuity(first, second):
    from scipy.stats import mannwhitneyu

    if len({*first, *second}) > 1:
        expected = mannwhitneyu(first, second, method="asymptotic", use_continuity=True).pvalue
        assert mann_whitney(np.array(first), np.array(second)) == pytest.approx(expected)


def test_false_alarms_and_coverage_of_the_shift():
    random = np.random.default_rng(0)
    pairs = [(random.gamma(2, size=30), random.gamma(2, size=40)) for _ in range(1500)]
    assert np.mean([mann_whitney(a, b) < 0.05 for a, b in pairs]) == pytest.approx(0.05, abs=0.02)
    limits = [shift_interval(a, b + 3)[1] for a, b in pairs[:400]]
    assert np.mean([low <= 3 <= high for low, high, _ in limits]) == pytest.approx(0.95, abs=0.04)


def test_few_rounds_have_no_limits_and_bad_ones_are_refused():
    assert shift_interval(np.ones(1), np.ones(1))[1].low == -np.inf
    with pytest.raises(ValueError, match="finite"):
        mann_whitney(np.array([np.nan]), np.ones(3))
    with pytest.raises(ValueError, match="shape"):
        shift_interval(np.empty(0), np.ones(3))

"""Recipe scope: by hand and by simulation of crossed replicates and samples."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.stats.scope import across_replicates


def test_by_hand() -> None:
    estimates = [0.1, 0.2, 0.3, 0.2, 0.1, 0.3]
    mean, (low, high, method), p_value = across_replicates(estimates, standard_error=0.05)
    half = stats.t.ppf(0.975, 5) * sqrt(0.05**2 + np.var(estimates, ddof=1) / 6)
    assert mean == pytest.approx(0.2)
    assert p_value == pytest.approx(2 * stats.t.sf(0.2 / sqrt(0.05**2 + np.var(estimates, ddof=1) / 6), 5))
    assert (low, high) == pytest.approx((0.2 - half, 0.2 + half))
    assert method == "t"


def test_errors_over_shared_samples_do_not_average_out() -> None:
    common = np.random.default_rng(0).normal(0, 0.3, 4000)
    _, shared, _ = across_replicates(np.zeros(5), draws=np.tile(common, (5, 1)))
    _, single, _ = across_replicates(np.zeros(5), standard_error=float(common.std()))
    assert shared[:2] == pytest.approx(single[:2])


def test_four_replicates_have_no_interval() -> None:
    assert across_replicates([1.0, 2, 3, 4], standard_error=0.1) == (2.5, (None, None, "none"), None)


def test_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="either"):
        across_replicates(np.ones(5))
    with pytest.raises(ValueError, match="finite"):
        across_replicates([1.0, float("nan")], standard_error=0.1)
    with pytest.raises(ValueError, match="5 replicates"):
        across_replicates(np.ones(5), draws=np.ones((4, 10)))


@pytest.mark.parametrize(("between", "within"), [(0.3, 1.0), (0.0, 1.0), (1.0, 0.3)])
def test_recipe_intervals_cover(
    between: float, within: float, weights: NDArray[np.float64], at_least: Callable[[int, int, float], bool]
) -> None:
    """Contribution of sample i in replicate r: training effect + sample effect + their own noise; mean 0."""
    random = np.random.default_rng(round(10 * between))
    trials, hits = 1000, 0
    for _ in range(trials):
        table = random.normal(0, between, (5, 1)) + within * (random.normal(size=300) + random.normal(size=(5, 300)))
        draws = table @ weights[:500].T / 300
        low, high, _ = across_replicates(table.mean(axis=1), draws=draws).interval
        hits += low <= 0 <= high  # type: ignore[operator]
    assert at_least(hits, trials, 0.95)

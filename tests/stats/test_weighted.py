"""Order statistics of resamples against numpy and scikit-learn on the repeated samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from bench.stats.resampling import bootstrap_weights
from bench.stats.weighted import smooth_quantile, weighted_auroc, weighted_quantile


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_quantile_is_that_of_the_repeated_samples(q: float, n: int) -> None:
    values = np.round(np.random.default_rng(n).normal(size=n), 1)  # with ties
    weights = bootstrap_weights(n, 40)
    wanted = [np.quantile(np.repeat(values, row.astype(int)), q) for row in weights]
    assert weighted_quantile(values, weights, q) == pytest.approx(wanted)


def test_quantile_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values, weights = np.random.default_rng(0).normal(size=30), bootstrap_weights(30, 40)
    whole, area = weighted_quantile(values, weights, 0.3), weighted_auroc(values, values > 0.2, weights)
    smooth = smooth_quantile(values, weights, 0.3)
    monkeypatch.setattr("bench.stats.weighted.CHUNK", 100)
    assert np.array_equal(weighted_quantile(values, weights, 0.3), whole)
    assert np.array_equal(weighted_auroc(values, values > 0.2, weights), area)
    assert smooth_quantile(values, weights, 0.3) == pytest.approx(smooth)


@pytest.mark.parametrize("digits", [0, 1, 8])
def test_auroc_is_that_of_the_repeated_samples(digits: int) -> None:
    random = np.random.default_rng(digits)
    labels = random.random(50) < 0.4
    scores = np.round(random.normal(size=50) + labels, digits)
    weights = bootstrap_weights(50, 40)
    wanted = [roc_auc_score(np.repeat(labels, row.astype(int)), np.repeat(scores, row.astype(int))) for row in weights]
    assert weighted_auroc(scores, labels, weights) == pytest.approx(wanted)
    assert weighted_auroc(scores, labels, np.ones((1, 50)))[0] == pytest.approx(roc_auc_score(labels, scores))


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_smooth_quantile_is_that_of_the_repeated_samples(q: float) -> None:
    values = np.round(np.random.default_rng(4).normal(size=30), 1)
    weights = bootstrap_weights(30, 40)
    steps = np.diff(stats.beta.cdf(np.linspace(0, 1, 31), 16 * q, 16 * (1 - q)))
    wanted = [np.sort(np.repeat(values, row.astype(int))) @ steps for row in weights]
    assert smooth_quantile(values, weights, q) == pytest.approx(wanted)


def test_smooth_quantile_is_close_to_the_plain_one() -> None:
    values = np.random.default_rng(5).normal(size=20_000)
    one = np.ones((1, 20_000))
    for q in (0.1, 0.5, 0.99):
        assert smooth_quantile(values, one, q) == pytest.approx(weighted_quantile(values, one, q), abs=0.02)


def test_auroc_does_not_exist_for_one_class() -> None:
    weights = np.array([[2.0, 0.0], [1.0, 1.0]])
    assert np.isnan(weighted_auroc(np.array([0.1, 0.9]), np.array([0, 1]), weights)).tolist() == [True, False]


def test_shapes_and_ranges() -> None:
    with pytest.raises(ValueError, match="quantile 2"):
        weighted_quantile(np.ones(3), np.ones((1, 3)), 2.0)
    with pytest.raises(ValueError, match="quantile 1"):
        smooth_quantile(np.ones(3), np.ones((1, 3)), 1.0)
    with pytest.raises(ValueError, match="scores"):
        weighted_auroc(np.ones(2), np.ones(3), np.ones((1, 3)))

from __future__ import annotations

import numpy as np
from scipy.spatial import distance
from scipy.stats import spearmanr

from bench.functional.similarity import cosine_distance, spearman_distance


def maps(seed: int, ties: bool = False) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(40, 2, 3, 4))
    return values.round(0) if ties else values


def test_cosine_agrees_with_scipy() -> None:
    a, b = maps(0), maps(1)
    expected = [distance.cosine(u.ravel(), v.ravel()) for u, v in zip(a, b, strict=True)]
    np.testing.assert_allclose(cosine_distance(a, b), expected, rtol=1e-12)


def test_spearman_agrees_with_scipy_with_and_without_ties() -> None:
    for ties in (False, True):
        a, b = maps(0, ties), maps(1, ties)
        expected = [1 - spearmanr(u.ravel(), v.ravel()).statistic for u, v in zip(a, b, strict=True)]
        np.testing.assert_allclose(spearman_distance(a, b), expected, rtol=1e-10)


def test_both_are_symmetric_zero_for_equal_maps_and_blind_to_positive_scale() -> None:
    a, b = maps(0), maps(1)
    for distance_of in (cosine_distance, spearman_distance):
        assert np.array_equal(distance_of(a, b), distance_of(b, a))
        assert np.array_equal(distance_of(a, a), np.zeros(len(a)))
        np.testing.assert_allclose(distance_of(a, 1e200 * b), distance_of(a, b), rtol=1e-9)
        np.testing.assert_allclose(distance_of(a, -a), 2.0)


def test_zero_and_constant_maps_follow_the_stated_rule() -> None:
    zero, some, constant = np.zeros((1, 4)), np.array([[1.0, 2.0, 0.0, 5.0]]), np.full((1, 4), 3.0)
    assert cosine_distance(zero, zero) == 0
    assert cosine_distance(zero, some) == cosine_distance(some, zero) == 1
    assert spearman_distance(zero, constant) == 0
    assert spearman_distance(constant, some) == 1


def test_cosine_keeps_its_precision_for_nearly_equal_maps() -> None:
    a, b = np.array([[1.0, 0.0]]), np.array([[1.0, 1e-9]])
    np.testing.assert_allclose(cosine_distance(a, b), 0.5e-18, rtol=1e-6)

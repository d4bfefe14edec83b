from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import distance
from scipy.stats import spearmanr

from bench.functional.similarity import (
    cosine_distance,
    sign_disagreement,
    spearman_distance,
    top_k_jaccard_distance,
)


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
        kept = (a != 0) | (b != 0)  # where both are zero there is no order
        expected = [1 - spearmanr(u[k], v[k]).statistic for u, v, k in zip(a, b, kept, strict=True)]
        np.testing.assert_allclose(spearman_distance(a, b), expected, rtol=1e-10)
        assert kept.all() != ties


def test_pixels_that_equal_the_baseline_say_nothing_of_the_order() -> None:
    """A black frame, zero in every map, makes unrelated maps look alike where its ties count."""
    a, b = np.zeros((2, 40, 100))
    a[:, :30], b[:, :30] = np.abs(maps(0).reshape(40, -1)[:, :1]), np.abs(maps(1).reshape(40, -1)[:, :1])
    random = np.random.default_rng(0)
    a[:, :30] += random.random((40, 30))
    b[:, :30] += random.random((40, 30))
    assert abs(1 - spearman_distance(a, b)).mean() < 0.25
    assert spearmanr(a[0], b[0]).statistic > 0.7


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


def test_top_k_is_the_jaccard_distance_of_the_sets_of_largest_magnitude() -> None:
    a, b = maps(0), maps(1)
    for share, k in ((0.01, 1), (0.05, 1), (0.1, 2), (0.5, 12)):
        expected = []
        for u, v in zip(a, b, strict=True):
            first, second = (set(np.argsort(-np.abs(each.ravel()))[:k].tolist()) for each in (u, v))
            expected.append(1 - len(first & second) / len(first | second))
        np.testing.assert_allclose(top_k_jaccard_distance(a, b, share), expected, rtol=1e-12)


def test_pixels_that_tie_for_the_last_place_share_it_whatever_their_order() -> None:
    a, b = np.array([[5.0, 2.0, -2.0, 2.0, 0.0]]), np.array([[5.0, 0.0, 0.0, 1.0, 3.0]])
    expected = 1 - 1 / (2 * 2 - 1)  # {0, a third of 1, 2 and 3} and {0, 4}
    order = np.array([3, 0, 4, 2, 1])
    assert top_k_jaccard_distance(a, b, 0.4) == top_k_jaccard_distance(a[:, order], b[:, order], 0.4)
    np.testing.assert_allclose(top_k_jaccard_distance(a, b, 0.4), expected)
    assert top_k_jaccard_distance(a, a, 0.4) == 0


def test_unrelated_maps_share_what_chance_gives() -> None:
    """Of hypergeometric overlaps; maps of real networks share more, since objects stand in the middle."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 4000, 100))
    shared = 1 - top_k_jaccard_distance(a, b, 0.1)
    assert abs(shared.mean() - 0.053) < 0.003  # E[h / (20 - h)], h of 10 hits among 100


def test_signs_count_by_their_weight() -> None:
    a = np.array([[2.0, 1.0, 1.0]])
    assert sign_disagreement(a, np.array([[2.0, -1.0, 1.0]])) == 0.25
    assert sign_disagreement(a, -a) == 1
    assert sign_disagreement(a, np.array([[4.0, 2.0, 0.0]])) == pytest.approx(1 / 8)
    assert sign_disagreement(np.zeros((1, 3)), np.zeros((1, 3))) == 0
    b = maps(1)
    np.testing.assert_allclose(sign_disagreement(maps(0), b), sign_disagreement(b, maps(0)))
    assert abs(sign_disagreement(maps(0), b).mean() - 0.5) < 0.05

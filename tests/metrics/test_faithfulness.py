"""Deletion, insertion and infidelity: closed forms, and networks that explain themselves badly."""

from __future__ import annotations

import numpy as np
import pytest

from bench.engine.in_memory import answers
from bench.functional.faithfulness import area_under_replacement, infidelity
from bench.metrics.attribution.faithfulness import Faithfulness


def test_areas_of_an_additive_score_by_hand() -> None:
    """Deleting the largest first: 6, 3, 1, 0; inserting: 0, 3, 5, 6; in the wrong order they change places."""
    x = np.array([[3.0, 2.0, 1.0]], np.float32)

    def score(x):
        return x.sum(axis=1).astype(np.float64)

    deleted, inserted = (area_under_replacement(score, x, 0.0, x, 3, keep=keep) for keep in (False, True))
    np.testing.assert_allclose(deleted, (3 + 3 + 1 + 0) / 3)
    np.testing.assert_allclose(inserted, (0 + 3 + 5 + 3) / 3)
    np.testing.assert_allclose(area_under_replacement(score, x, 0.0, -x, 3, keep=False), (3 + 5 + 3 + 0) / 3)


def test_channels_of_a_pixel_go_together() -> None:
    x = np.ones((1, 2, 1, 2), np.float32)
    maps = np.array([[[[5.0, 0.0]], [[-5.0, 1.0]]]])  # sums 0 and 1: the second pixel first

    def seen(shown):
        states.append(shown.reshape(2, 2).tolist())
        return np.zeros(1)

    states: list[list[list[float]]] = []
    area_under_replacement(seen, x, 0.0, maps, 2, keep=False)
    assert states == [[[1, 1], [1, 1]], [[1, 0], [1, 0]], [[0, 0], [0, 0]]]


def test_infidelity_is_zero_of_a_linear_score_and_one_of_an_empty_map() -> None:
    random = np.random.default_rng(0)
    weight, x = random.normal(size=(3, 2, 2)), random.random((4, 3, 2, 2)).astype(np.float32)
    masks = random.random((20, *x.shape)) < 0.5

    def score(x):
        return (x.astype(np.float64) * weight).sum(axis=(1, 2, 3))

    exact = weight * (x.astype(np.float64) - 0.25)
    np.testing.assert_allclose(infidelity(score, x, 0.25, exact, masks), 0, atol=1e-12)
    np.testing.assert_allclose(infidelity(score, x, 0.25, 0 * exact, masks), 1)
    np.testing.assert_allclose(infidelity(score, x, 0.25, 2 * exact, masks), 1)
    still = infidelity(lambda x: np.zeros(len(x)), x, 0.25, exact, masks)
    assert still.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("network", ["reference", "ptq4"])
def test_a_trained_network_is_explained_by_its_own_gradients(predictors, samples, network) -> None:
    few = samples.take(slice(0, 40))
    metric = Faithfulness(steps=8, shares=8, masks=12)
    shown = answers(metric, predictors[network], few, predictors["reference"])
    assert shown["insertion"].mean() > shown["deletion"].mean() + 0.2
    assert 0 < shown["infidelity"].mean() < 0.9
    again = answers(metric, predictors[network], few.take(slice(5, 9)), predictors["reference"])
    np.testing.assert_allclose(again["infidelity"], shown["infidelity"][5:9], rtol=1e-4)

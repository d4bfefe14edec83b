from __future__ import annotations

import numpy as np
import pytest

from bench.errors import NotApplicable
from bench.functional.structural_similarity import structural_dissimilarity


def maps(seed: int, size: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(6, 2, size, size))


@pytest.mark.parametrize(("size", "window"), [(12, 7), (7, 7), (6, 5), (3, 3)])
def test_it_agrees_with_scikit_image(size, window) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    a, b = maps(0, size), maps(0, size) + 0.5 * maps(1, size)
    found = structural_dissimilarity(a, b)
    for row, (first, second) in enumerate(zip(a.sum(axis=1), b.sum(axis=1), strict=True)):
        top = np.percentile(np.abs(np.concatenate([first.ravel(), second.ravel()])), 99)
        options = {"win_size": window, "data_range": 2 * top, "use_sample_covariance": False}
        _, image = metrics.structural_similarity(first + top, second + top, full=True, **options)
        edge = window // 2
        inside = image[edge : size - edge, edge : size - edge]
        np.testing.assert_allclose(found[row], 1 - inside.mean(), rtol=1e-9)


def test_equal_maps_are_at_zero_and_negatives_far_away() -> None:
    a, b = maps(0), maps(1)
    assert not structural_dissimilarity(a, a).any()
    assert np.array_equal(structural_dissimilarity(a, b), structural_dissimilarity(b, a))
    assert (structural_dissimilarity(a, -a) > 1).all()
    assert (structural_dissimilarity(a, b) > 0.5).all()
    assert (structural_dissimilarity(a, a * (1 + 1e-6)) < 1e-9).all()
    np.testing.assert_allclose(structural_dissimilarity(7 * a, 7 * b), structural_dissimilarity(a, b), rtol=1e-9)


def test_a_change_of_scale_is_one() -> None:
    assert (structural_dissimilarity(maps(0), 3 * maps(0)) > 0.1).all()


def test_zero_maps_and_sparse_ones() -> None:
    zero, one = np.zeros((1, 1, 12, 12)), np.zeros((1, 1, 12, 12))
    one[0, 0, 3, 3] = 5.0  # the 99th percentile is zero
    assert structural_dissimilarity(zero, zero) == 0
    assert 0 < structural_dissimilarity(zero, one)[0] <= 2


@pytest.mark.parametrize("shape", [(4, 9), (4, 1, 2, 9)])
def test_what_is_no_image_has_none(shape) -> None:
    with pytest.raises(NotApplicable, match="images of 3 x 3 pixels or more; the maps are"):
        structural_dissimilarity(np.ones(shape), np.ones(shape))

"""Signal to noise, cosine and relative error of a layer's output."""

import numpy as np
import pytest

from bench.functional.layer_divergence import joined, moments, per_sample, pooled

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(7, 3, 4, 4)).astype(np.float32)
Y = X + 0.1 * RANDOM.normal(size=X.shape).astype(np.float32)


def test_figures_are_their_formulas():
    found = per_sample(moments(X, Y))
    for row in range(7):
        x, y = X[row].ravel().astype(float), Y[row].ravel().astype(float)
        noise = ((x - y) ** 2).sum()
        assert found.sqnr_db[row] == pytest.approx(10 * np.log10((x**2).sum() / noise))
        assert found.cosine[row] == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
        assert found.relative_mse[row] == pytest.approx(noise / (x**2).sum())


def test_pooled_is_one_long_vector():
    found = pooled(moments(X, Y))
    x, y = X.ravel().astype(float), Y.ravel().astype(float)
    assert found.relative_mse == pytest.approx(((x - y) ** 2).sum() / (x**2).sum())
    assert found.cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    assert found.sqnr_db == pytest.approx(-10 * np.log10(found.relative_mse))


def test_the_sign_counts():
    found = pooled(moments(X, -X))
    assert (found.cosine, found.relative_mse) == pytest.approx((-1.0, 4.0))
    assert found.sqnr_db == pytest.approx(-10 * np.log10(4.0))


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([0.0, 0.0], [0.0, 0.0], (np.inf, 1.0, 0.0)),
        ([0.0, 0.0], [3.0, 4.0], (-np.inf, 0.0, np.inf)),
        ([3.0, 4.0], [0.0, 0.0], (0.0, 0.0, 1.0)),
        ([3.0, 4.0], [3.0, 4.0], (np.inf, 1.0, 0.0)),
        ([3.0, 4.0], [6.0, 8.0], (0.0, 1.0, 1.0)),
    ],
)
def test_conventions_for_zeros(x, y, expected):
    found = per_sample(moments(np.array([x]), np.array([y])))
    assert tuple(float(v[0]) for v in found) == pytest.approx(expected)


def test_batches_join_to_the_whole():
    parts = joined([moments(X[:3], Y[:3]), moments(X[3:], Y[3:])])
    for part, whole in zip(parts, moments(X, Y), strict=True):
        assert np.array_equal(part, whole)


def test_samples_that_are_not_finite_are_marked_and_left_out():
    broken = Y.copy()
    broken[2, 0, 0, 0], broken[4, 1, 1, 1] = np.nan, np.inf
    found = moments(X, broken)
    assert np.flatnonzero(~found.finite).tolist() == [2, 4]
    kept = [0, 1, 3, 5, 6]
    assert np.array_equal(per_sample(found).cosine, per_sample(moments(X[kept], Y[kept])).cosine)
    assert pooled(found).relative_mse == pytest.approx(pooled(moments(X[kept], Y[kept])).relative_mse)


def test_half_precision_does_not_overflow():
    large = np.full((1, 1000), 6e4, np.float16)
    assert pooled(moments(large, large / 2)).relative_mse == pytest.approx(0.25)


def test_two_shapes_raise():
    with pytest.raises(ValueError, match="cannot be compared"):
        moments(X, Y[:, :2])

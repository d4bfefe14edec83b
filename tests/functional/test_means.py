from __future__ import annotations

import numpy as np

from bench.functional.means import weighted_mean


def test_it_is_the_mean_of_the_drawn_samples() -> None:
    random = np.random.default_rng(0)
    values, draws = random.normal(size=30), random.integers(0, 30, size=(8, 30))
    weights = np.stack([np.bincount(draw, minlength=30) for draw in draws]).astype(np.float32)
    np.testing.assert_allclose(weighted_mean(values, weights), values[draws].mean(axis=1), rtol=1e-6)


def test_integers_are_averaged_in_float() -> None:
    assert weighted_mean(np.array([1, 0], dtype=np.uint8), np.array([[200, 600]])).tolist() == [0.25]

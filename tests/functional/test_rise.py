from __future__ import annotations

import numpy as np
import pytest

from bench.functional import rise
from bench.functional.rise import CoarseMasks, draw_masks, enlarge, rise_map


def test_every_pixel_is_shown_as_often_as_a_bit() -> None:
    masks = enlarge(draw_masks(np.random.default_rng(0), 20_000, grid=3, shown=0.3), 7, 5)
    assert masks.min() >= 0
    assert masks.max() <= 1
    error = masks.std(axis=0) / np.sqrt(len(masks))
    assert (np.abs(masks.mean(axis=0) - 0.3) < 5 * error).all()


def test_without_a_shift_it_is_the_bilinear_enlargement() -> None:
    bits = np.random.default_rng(0).random((1, 6, 6)).astype(np.float32)
    found = enlarge(CoarseMasks(bits, np.zeros((1, 2))), 4, 4)  # pixel centres lie half-way between points
    expected = (bits[0, :4, :4] + bits[0, 1:5, :4] + bits[0, :4, 1:5] + bits[0, 1:5, 1:5]) / 4
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


@pytest.mark.parametrize("pixel", [(3, 10), (9, 2), (0, 0)])
def test_a_function_of_one_pixel_peaks_there(pixel: tuple[int, int]) -> None:
    masks = draw_masks(np.random.default_rng(1), 4000, grid=6, shown=0.5)
    scores = enlarge(masks, 12, 12)[:, *pixel].astype(np.float64)
    found = rise_map(masks, scores, 0.5, 12, 12)
    peak = np.unravel_index(found.argmax(), found.shape)
    assert np.abs(np.subtract(peak, pixel)).max() <= 1
    far = np.abs(np.indices((12, 12)) - np.reshape(pixel, (2, 1, 1))).max(axis=0) >= 5
    assert np.abs(found[far]).max() < 0.15 * found.max()


def test_it_is_the_sum_of_the_paper_less_the_mean_score(monkeypatch: pytest.MonkeyPatch) -> None:
    masks, scores = (
        draw_masks(np.random.default_rng(2), 30, grid=4, shown=0.4),
        np.random.default_rng(3).normal(size=30),
    )
    whole = enlarge(masks, 8, 8).astype(np.float64)
    expected = ((scores - scores.mean())[:, None, None] * whole).sum(axis=0) / (30 * 0.4)
    np.testing.assert_allclose(rise_map(masks, scores, 0.4, 8, 8), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(rise_map(masks, scores + 1000, 0.4, 8, 8), expected, rtol=1e-9, atol=1e-9)
    monkeypatch.setattr(rise, "ENTRIES", 8 * 8 * 7)  # seven masks at once
    np.testing.assert_allclose(rise_map(masks, scores, 0.4, 8, 8), expected, rtol=1e-12, atol=1e-12)

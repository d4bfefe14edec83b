"""Pictures of maps: what a reader sees of them, read back by another library."""

from __future__ import annotations

import io

import numpy as np
import pytest

from bench.functional.map_pictures import png, side_by_side, signed_colours

RED, BLUE, WHITE = [178, 24, 43], [33, 102, 172], [255, 255, 255]


def test_another_library_reads_the_same_pixels() -> None:
    images = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, size=(5, 9, 3), dtype=np.uint8)
    shown = images.open(io.BytesIO(png(pixels)))
    shown.verify()
    np.testing.assert_array_equal(np.asarray(images.open(io.BytesIO(png(pixels)))), pixels)


def test_panels_are_image_both_maps_and_what_the_second_has_more() -> None:
    image = np.array([[[0.0, 4.0], [2.0, 4.0]]])
    first, second = np.zeros((1, 2, 2)), np.zeros((1, 2, 2))
    first[0, 0, 0], second[0, 0, 0], second[0, 1, 1] = 1.0, 1.0, -1.0
    shown = side_by_side(image, (0.0, 4.0), first, second)
    assert shown.shape == (2, 4 * 2 + 3, 3)
    panels = [shown[:, 3 * k : 3 * k + 2].tolist() for k in range(4)]
    assert panels[0] == [[[0] * 3, [255] * 3], [[128] * 3, [255] * 3]]
    assert panels[1] == [[RED, WHITE], [WHITE, WHITE]]
    assert panels[2] == [[RED, WHITE], [WHITE, BLUE]]
    assert panels[3] == [[WHITE, WHITE], [WHITE, BLUE]]


def test_both_maps_have_one_scale_and_channels_are_summed() -> None:
    first = np.stack([np.full((3, 3), 2.0), np.full((3, 3), -1.0)])
    shown = side_by_side(np.zeros((2, 3, 3)), (0.0, 1.0), first, np.full((2, 3, 3), 2.0))
    weak, strong = shown[0, 4].astype(int), shown[0, 8].astype(int)
    assert strong.tolist() == RED
    np.testing.assert_allclose(255 - weak, (255 - strong) / 4, atol=1)


def test_large_images_are_averaged_down_and_colour_is_kept() -> None:
    image = np.zeros((3, 200, 300))
    image[0] = 1.0
    shown = side_by_side(image, (0.0, 1.0), np.ones((3, 200, 300)), np.ones((3, 200, 300)))
    assert shown.shape[0] == 50
    assert shown[0, 0].tolist() == [255, 0, 0]
    assert side_by_side(image[:, :1, :], (0.0, 1.0), image[:, :1, :], image[:, :1, :]).shape[0] == 1


def test_zero_maps_are_white() -> None:
    assert (signed_colours(np.zeros((2, 2)), 0.0) == 255).all()

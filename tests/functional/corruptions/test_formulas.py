"""Each corruption beside its closed form, or another way to compute it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.ndimage import map_coordinates

from bench.functional.corruptions.base import corrupt
from bench.functional.corruptions.blurring import point_kernel
from bench.functional.corruptions.defocus_blur import defocus_blur, disc_kernel
from bench.functional.corruptions.jpeg import jpeg
from bench.functional.corruptions.motion_blur import along_line
from bench.functional.corruptions.rotation import turned

IDS = tuple(f"sample/{row}" for row in range(400))
LUMINANCE = """
16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99
"""  # ITU-T T.81, table K.1: libjpeg's at quality 50


def grey(value, n=100, side=16):
    return np.full((n, 1, side, side), value, dtype=np.float32)


def dot(side=9, at=(4, 4)):
    image = np.zeros((1, 1, side, side), dtype=np.float32)
    image[0, 0, at[0], at[1]] = 1.0
    return image


def anything(channels=1, height=13, width=11, seed=0):
    return np.random.default_rng(seed).random((channels, height, width))


def looked_up(image, down, right):
    """The image between pixels, edge pixels repeated."""
    return np.stack([map_coordinates(plane, [down, right], order=1, mode="nearest") for plane in image])


def moved_mean(image, points):
    """The mean of the image moved to each point, one by one."""
    down, right = np.meshgrid(*map(np.arange, image.shape[1:]), indexing="ij")
    return np.mean([looked_up(image, down - y, right - x) for y, x in points], axis=0)


def test_gaussian_noise_has_its_mean_and_deviation():
    noise = corrupt(grey(0.5), "gaussian-noise", 0.1, IDS[:100]) - 0.5
    assert abs(noise.mean()) < 4 * 0.1 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    twice = corrupt(grey(0.5), "gaussian-noise", 0.05, IDS[:100]) - 0.5
    np.testing.assert_allclose(2 * twice, noise, atol=1e-6)  # one draw, scaled


def test_shot_noise_has_the_mean_of_the_image_and_its_variance():
    for value in (0.2, 0.6):
        found = corrupt(grey(value), "shot-noise", 0.1, IDS[:100])
        assert found.mean() == pytest.approx(value, abs=4 * 0.1 * np.sqrt(value / found.size))
        assert found.var() == pytest.approx(0.01 * value, rel=0.05)
        np.testing.assert_allclose(found / 0.01, np.rint(found / 0.01), atol=1e-4)  # whole photons
    assert not corrupt(grey(0.0), "shot-noise", 0.6, IDS[:100]).any()
    np.testing.assert_allclose(corrupt(grey(0.3, 1), "shot-noise", 1e-12, IDS[:1]), 0.3, atol=1e-5)


def test_impulse_noise_replaces_its_share_and_more_of_the_same():
    found = corrupt(grey(0.5), "impulse-noise", 0.2, IDS[:100])
    assert set(np.unique(found)) == {0.0, 0.5, 1.0}
    for extreme in (0.0, 1.0):
        assert (found == extreme).mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / found.size))
    less = corrupt(grey(0.5), "impulse-noise", 0.1, IDS[:100])
    replaced = less != 0.5
    np.testing.assert_array_equal(found[replaced], less[replaced])
    assert (corrupt(grey(0.5), "impulse-noise", 1.0, IDS[:100]) != 0.5).all()


def test_brightness_adds_and_cuts_off():
    x = anything()[None].astype(np.float32)
    np.testing.assert_allclose(corrupt(x, "brightness", 0.3, IDS[:1]), np.minimum(x + 0.3, 1), atol=1e-6)
    np.testing.assert_allclose(corrupt(x, "brightness", -0.3, IDS[:1]), np.maximum(x - 0.3, 0), atol=1e-6)


def test_contrast_shrinks_about_the_mean_of_each_channel():
    x = anything(3)[None].astype(np.float32)
    mean = x.mean(axis=(2, 3), keepdims=True)
    found = corrupt(x, "contrast", 0.75, IDS[:1])
    np.testing.assert_allclose(found.mean(axis=(2, 3), keepdims=True), mean, atol=1e-6)
    np.testing.assert_allclose(found - mean, (x - mean) / 4, atol=1e-6)
    np.testing.assert_allclose(corrupt(x, "contrast", 1.0, IDS[:1]), mean + 0 * x, atol=1e-6)
    assert corrupt(x, "contrast", -0.5, IDS[:1]).std() > x.std()


def test_defocus_is_the_mean_over_a_disc():
    image = anything(2)
    random = np.random.default_rng(1)
    points = random.uniform(-1, 1, (6000, 2))
    points = 1.7 * points[(points**2).sum(axis=1) <= 1]
    found = defocus_blur(image, 1.7 / 11, random)  # the shorter side has 11
    np.testing.assert_allclose(found, moved_mean(image, points), atol=0.015)


def test_a_discs_kernel_is_round_and_as_wide_as_the_disc():
    for radius in (0.3, 1.0, 2.6, 9.0):
        kernel = disc_kernel(radius)
        places = np.arange(len(kernel)) - len(kernel) // 2
        assert kernel.sum() == pytest.approx(1)
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-12)
        np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-12)
        variance = kernel.sum(axis=1) @ places**2
        if radius < 1:  # between two pixels a weight t has the variance t
            assert variance == pytest.approx(4 * radius / (3 * np.pi), rel=0.02)
        else:
            assert 0.98 * radius**2 / 4 < variance <= radius**2 / 4 + 0.26  # its points stand on a grid
    assert disc_kernel(0.0).tolist() == [[1.0]]


def test_motion_is_the_mean_along_a_line():
    image, angle, length = anything(), 0.7, 3.4
    way = length * ((np.arange(301) + 0.5) / 301 - 0.5)
    points = np.stack([way * np.sin(angle), way * np.cos(angle)], axis=1)
    np.testing.assert_allclose(along_line(image, length, angle), moved_mean(image, points), atol=2e-3)
    upright = along_line(np.swapaxes(image, 1, 2), length, np.pi / 2)
    np.testing.assert_allclose(np.swapaxes(upright, 1, 2), along_line(image, length, 0.0), atol=1e-12)


def test_motion_has_every_angle_alike():
    """The mean over many samples of a blurred dot is as wide as high, and its middle stays."""
    blurs = corrupt(np.repeat(dot(15, (7, 7)), 400, axis=0), "motion-blur", 0.4, IDS)
    places = np.arange(15) - 7
    mean = blurs.mean(axis=0)[0]
    down, right = (mean.sum(axis=axis) @ places**2 for axis in (1, 0))
    assert mean.sum() == pytest.approx(1, abs=1e-5)
    assert abs(mean.sum(axis=0) @ places) < 1e-5
    assert down == pytest.approx(right, rel=0.15)
    assert down + right == pytest.approx(6.0**2 / 12 + 1 / 3, rel=0.1)


def test_a_kernel_of_whole_points_moves_by_whole_pixels():
    assert point_kernel(np.array([1.0]), np.array([-1.0])).tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_jpeg_rounds_the_cosine_transform_of_each_block():
    table = np.array(LUMINANCE.split(), dtype=np.float64).reshape(8, 8)
    pixels = np.random.default_rng(3).integers(60, 196, (8, 16))
    blocks = [pixels[:, :8], pixels[:, 8:]]
    expected = [idctn(np.rint(dctn(b - 128.0, norm="ortho") / table) * table, norm="ortho") + 128 for b in blocks]
    found = jpeg(pixels[None] / 255, 0.5, np.random.default_rng(0))
    assert np.abs(255 * found[0] - np.hstack(expected).clip(0, 255)).max() < 1.5


def test_jpeg_of_three_channels_is_a_file_of_that_quality():
    image = anything(3, 24, 24)
    pixels = np.moveaxis(np.rint(255 * image).astype(np.uint8), 0, -1)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=30, subsampling=2)
    expected = np.moveaxis(np.asarray(Image.open(file), dtype=np.float64), -1, 0) / 255
    np.testing.assert_array_equal(jpeg(image, 0.7, np.random.default_rng(0)), expected)


def test_pixelation_shows_the_means_of_blocks():
    x = anything(2, 12, 12)[None].astype(np.float32)
    found = corrupt(x, "pixelate", 0.75, IDS[:1])
    means = x.reshape(1, 2, 3, 4, 3, 4).mean(axis=(3, 5))
    np.testing.assert_allclose(found, np.repeat(np.repeat(means, 4, axis=2), 4, axis=3), atol=1e-6)
    np.testing.assert_allclose(
        corrupt(x, "pixelate", 1.0, IDS[:1]), x.mean(axis=(2, 3), keepdims=True) + 0 * x, atol=1e-6
    )


def test_pixelation_where_blocks_do_not_divide_the_side():
    """Five pixels in two blocks: the middle one lies in both, half and half, and its centre in the second."""
    row = np.array([0.0, 0.2, 0.6, 0.4, 1.0])
    x = np.tile(row, (1, 1, 5, 1)).astype(np.float32)
    first, second = (0.0 + 0.2 + 0.3) / 2.5, (0.3 + 0.4 + 1.0) / 2.5
    found = corrupt(x, "pixelate", 0.6, IDS[:1])
    np.testing.assert_allclose(found[0, 0, 0], [first, first, second, second, second], atol=1e-6)


def test_a_shift_moves_a_pixel_by_its_length_one_of_four_ways():
    x = np.repeat(dot(), 400, axis=0)
    found = corrupt(x, "shift", 2 / 9, IDS)
    places = np.array([np.argwhere(image[0] > 0.5)[0] for image in found])
    ways, counts = np.unique(places, axis=0, return_counts=True)
    assert ways.tolist() == [[2, 4], [4, 2], [4, 6], [6, 4]]
    assert counts.min() > 60
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), 1, atol=1e-6)
    half = corrupt(x, "shift", 0.5 / 9, IDS)
    np.testing.assert_allclose(half[:, 0, 4, 4], 0.5, atol=1e-6)
    np.testing.assert_allclose(half.max(axis=(1, 2, 3)), 0.5, atol=1e-6)


def test_a_shift_repeats_the_edge():
    x = np.tile(np.array([0.25, 0.5, 0.75, 1.0]), (40, 1, 4, 1)).astype(np.float32)
    found = {tuple(image[0, 0].round(6).tolist()) for image in corrupt(x, "shift", 0.25, IDS[:40])}
    assert found == {(0.25, 0.5, 0.75, 1.0), (0.25, 0.25, 0.5, 0.75), (0.5, 0.75, 1.0, 1.0)}


def test_a_rotation_by_right_angles_is_exact():
    image = anything(2, 8, 8)
    for turns in (1, 2, 3):
        np.testing.assert_allclose(turned(image, 90.0 * turns), np.rot90(image, turns, axes=(1, 2)), atol=1e-9)


def test_a_rotation_looks_up_where_a_pixel_came_from():
    image, angle = anything(1, 9, 12), np.deg2rad(20.0)
    down, right = np.meshgrid(np.arange(9) - 4.0, np.arange(12) - 5.5, indexing="ij")
    cos, sin = np.cos(angle), np.sin(angle)
    expected = looked_up(image, 4.0 + cos * down + sin * right, 5.5 + cos * right - sin * down)
    np.testing.assert_allclose(turned(image, 20.0), expected, atol=1e-9)


def test_rotations_go_both_ways():
    image = anything(1, 8, 8).astype(np.float32)
    found = corrupt(np.repeat(image[None], 400, axis=0), "rotation", 20.0, IDS)
    against = np.isclose(found, turned(image.astype(np.float64), 20.0), atol=1e-6).all(axis=(1, 2, 3))
    with_clock = np.isclose(found, turned(image.astype(np.float64), -20.0), atol=1e-6).all(axis=(1, 2, 3))
    assert (against ^ with_clock).all()
    assert 140 < against.sum() < 260

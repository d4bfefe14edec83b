"""Structural similarity of two maps."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable

Float = NDArray[np.float64]

WINDOW: Final = 7  # pixels a side; fewer on smaller maps
LUMINANCE, CONTRAST = 0.01, 0.03  # of Wang et al.
PERCENTILE: Final = 99.0  # of both maps' magnitudes: what is larger does not stretch the scale


def image_dissimilarity(a: NDArray[Any], b: NDArray[Any], bounds: tuple[float, float]) -> Float:
    """DSSIM of two images (n, channels, height, width) within the bounds: ``(1 − SSIM) / 2``, (n,), from 0 to 1.

    Of grey images, the mean of the channels; L is the span of the bounds. The rest as in ``structural_dissimilarity``.

    Raises:
        NotApplicable: these are no images of at least 3 x 3 pixels.

    >>> black, white = np.zeros((1, 1, 3, 3)), np.ones((1, 1, 3, 3))
    >>> image_dissimilarity(black, white, (0.0, 1.0)).round(3).tolist()  # SSIM = c_1 / (1 + c_1), c_1 = .01²
    [0.5]
    """
    middle = (bounds[0] + bounds[1]) / 2
    grey = (np.asarray(images, dtype=np.float64).mean(axis=1, keepdims=True) - middle for images in (a, b))
    return structural_dissimilarity(*grey, span=bounds[1] - bounds[0]) / 2


def structural_dissimilarity(a: NDArray[Any], b: NDArray[Any], *, span: float | None = None) -> Float:
    """``1 − SSIM`` of two maps (n, channels, height, width), channels summed: (n,), from 0 (equal) to 2.

    ``SSIM = (2 μ_a μ_b + c_1)(2 σ_ab + c_2) / ((μ_a² + μ_b² + c_1)(σ_a² + σ_b² + c_2))``, mean over all windows of
    7 x 7 pixels (the largest odd size that fits, on smaller maps) with equal weights, ``c = (.01 L)², (.03 L)²`` (Wang
    et al. 2004, doi 10.1109/TIP.2003.819861). The maps are taken as grey images in which zero is the middle: L/2 is
    added, since the product of two negative factors would call a map and its negative alike. L is twice the 99th
    percentile of both maps' magnitudes, twice their largest where that is zero, or the ``span`` that is given. Unlike a
    cosine it sees a change of scale.

    Raises:
        NotApplicable: the maps are no images of at least 3 x 3 pixels.

    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> structural_dissimilarity(image, image).tolist(), bool(structural_dissimilarity(image, -image)[0] > 1)
    ([0.0], True)
    """
    if a.ndim != 4 or min(a.shape[2:]) < 3:
        shape = " x ".join(map(str, a.shape[1:]))
        raise NotApplicable(f"structural similarity is one of images of 3 x 3 pixels or more; the maps are {shape}")
    first, second = (np.asarray(maps, dtype=np.float64).sum(axis=1) for maps in (a, b))
    scale = _range(first, second) if span is None else span
    first, second = first / scale + 0.5, second / scale + 0.5
    size = min(WINDOW, *((side - 1) // 2 * 2 + 1 for side in first.shape[1:]))
    mean_a, mean_b, square_a, square_b, product = (
        _window_means(values, size) for values in (first, second, first**2, second**2, first * second)
    )
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c1, c2 = LUMINANCE**2, CONTRAST**2
    # 1 − s is (Δμ² / (..)) and (variance of the difference / (..)): no cancellation near 0
    light = (mean_a - mean_b) ** 2 / (mean_a**2 + mean_b**2 + c1)
    spread = np.maximum(variance_a + variance_b - 2 * covariance, 0.0) / (variance_a + variance_b + c2)
    same = (first == second).all(axis=(1, 2))
    return np.where(same, 0.0, (light + spread - light * spread).mean(axis=(1, 2)))


def _range(a: Float, b: Float) -> Float:
    size = np.abs(np.concatenate([a.reshape(len(a), -1), b.reshape(len(b), -1)], axis=1))
    top = np.percentile(size, PERCENTILE, axis=1)
    top = np.where(top > 0, top, size.max(axis=1))
    return np.asarray(np.where(top > 0, 2.0 * top, 1.0)[:, None, None])


def _window_means(images: Float, size: int) -> Float:
    """Means of all windows that lie inside, (n, height − size + 1, width − size + 1)."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    return np.asarray(windows.mean(axis=(3, 4)))

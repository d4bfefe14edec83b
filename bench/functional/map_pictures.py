"""Pictures of images, side by side: with two maps of it and their difference, or with what was made of it."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

LARGEST: Final = 96  # pixels a side; larger ones are averaged down
PERCENTILE: Final = 99.0  # of both maps' magnitudes: full colour
AGAINST, FOR = (33, 102, 172), (178, 24, 43)  # blue and red that colour-blind people tell apart


def png(pixels: Pixels) -> bytes:
    r"""A PNG file of pixels (height, width, 3) in RGB.

    >>> png(np.zeros((1, 2, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def signed_colours(values: NDArray[Any], full: float) -> Pixels:
    """Colours (height, width, 3) of values: red above zero, blue below, white at zero, full colour from ``full`` on.

    >>> signed_colours(np.array([[0.0, 9.0, -9.0]]), 1.0).tolist()
    [[[255, 255, 255], [178, 24, 43], [33, 102, 172]]]
    """
    share = np.clip(np.abs(values) / (full if full > 0 else 1.0), 0.0, 1.0)[..., None]
    colour = np.where(values[..., None] < 0, AGAINST, FOR)
    return np.asarray(np.rint(255 + share * (colour - 255)), dtype=np.uint8)


def image_pixels(image: NDArray[Any], bounds: tuple[float, float]) -> Pixels:
    """An image (channels, height, width) within bounds as pixels: three channels in colour, else their mean in grey.

    >>> image_pixels(np.array([[[0.0, 2.0]]]), (0.0, 2.0)).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    low, high = bounds
    shown = np.clip((image - low) / (high - low), 0.0, 1.0)
    shown = shown if len(shown) == 3 else np.repeat(shown.mean(axis=0, keepdims=True), 3, axis=0)
    return np.asarray(np.rint(255 * np.stack([_smaller(channel) for channel in shown], axis=-1)), dtype=np.uint8)


def side_by_side(image: NDArray[Any], bounds: tuple[float, float], first: NDArray[Any], second: NDArray[Any]) -> Pixels:
    """An image (channels, height, width), two maps of it in one scale of colours, and second − first, in one row.

    Channels of maps are summed. Images of three channels are shown in colour, others by the mean of their channels.

    >>> one = np.ones((1, 1, 1))
    >>> side_by_side(one, (0.0, 1.0), one, -one)[0, ::2].tolist()  # white; red for the class; blue against it, twice
    [[255, 255, 255], [178, 24, 43], [33, 102, 172], [33, 102, 172]]
    """
    maps = [_smaller(each.sum(axis=0)) for each in (first, second)]
    full = float(np.percentile(np.abs(np.concatenate(maps)), PERCENTILE))
    return _in_a_row(image_pixels(image, bounds), *(signed_colours(each, full) for each in (*maps, maps[1] - maps[0])))


def before_and_after(image: NDArray[Any], bounds: tuple[float, float], changed: NDArray[Any] | None = None) -> Pixels:
    """An image (channels, height, width), what was made of it, and the second less the first, in one row.

    The difference, channels summed, is red where the second is brighter, in full colour where it is largest. Without a
    changed one the image alone.

    >>> before_and_after(np.zeros((1, 1, 1)), (0.0, 1.0), np.ones((1, 1, 1)))[0, ::2].tolist()
    [[0, 0, 0], [255, 255, 255], [178, 24, 43]]
    """
    if changed is None:
        return image_pixels(image, bounds)
    difference = _smaller((changed.astype(np.float64) - image).sum(axis=0))
    colours = signed_colours(difference, float(np.abs(difference).max()))
    return _in_a_row(image_pixels(image, bounds), image_pixels(changed, bounds), colours)


def _in_a_row(*panels: Pixels) -> Pixels:
    gap = np.full((len(panels[0]), max(1, panels[0].shape[1] // 16), 3), 255, dtype=np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)


def _smaller(values: NDArray[Any]) -> NDArray[np.float64]:
    """Means of square blocks, so that no side is longer than 96; what does not fill a block is cut off."""
    size = -(-max(values.shape) // LARGEST)
    height, width = (max(1, side // size) for side in values.shape)
    cut = values[: height * size, : width * size] if size > 1 else values
    if size == 1 or min(values.shape) < size:
        return np.asarray(values, dtype=np.float64)
    return np.asarray(cut.reshape(height, size, width, size).mean(axis=(1, 3)), dtype=np.float64)

"""JPEG: lossy compression of the image itself."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from bench.functional.corruptions.base import Corruption, Image, corruptions


def jpeg(image: Image, strength: float, random: np.random.Generator) -> Image:
    """The image of 8-bit pixels, encoded at quality ``max(1, round(100 (1 − s)))`` and decoded: (1 or 3, h, w).

    Three channels are red, green and blue, their chroma halved both ways (4:2:0); one is grey.

    >>> jpeg(np.full((1, 8, 8), 128 / 255), 0.5, np.random.default_rng(0))[0, 0, 0] * 255
    np.float64(128.0)
    """
    import PIL.Image as pillow

    pixels = np.rint(255 * image.clip(0.0, 1.0)).astype(np.uint8)
    file = BytesIO()
    quality = max(1, round(100 * (1 - strength)))
    pillow.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(
        file, "JPEG", quality=quality, subsampling="4:2:0"
    )
    with pillow.open(file) as decoded:
        back = np.asarray(decoded, dtype=np.float64) / 255
    return back[None] if back.ndim == 2 else np.moveaxis(back, -1, 0)


corruptions.register("jpeg")(
    Corruption(jpeg, (0.5, 0.75, 0.85, 0.9, 0.95), "1 − quality / 100", most=1.0, channels=frozenset({1, 3}))
)

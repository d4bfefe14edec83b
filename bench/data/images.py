"""Decoding PNG and JPEG files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS: Final = ("PNG", "JPEG")
EIGHT_BIT: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
ADVICE: Final = "give 8-bit PNG or JPEG images, whole"


def decode(path: Path, size: int | None, crop: float, grayscale: bool, where: str) -> NDArray[np.uint8]:
    """One image as (channels, height, width), turned as EXIF says and viewers do; transparency is dropped.

    Args:
        path: a PNG or JPEG file of eight bits a channel.
        size: height and width; None keeps the image's own.
        crop: with ``size``, the shorter side becomes ``size / crop`` (bicubic), then the centre is cut out.
        grayscale: one channel (luma) instead of three.
        where: what error messages name.

    Raises:
        UserError: the file cannot be read, is cut short, too large, or of another format.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    broken = (OSError, SyntaxError, ValueError, UnidentifiedImageError)
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.mode not in EIGHT_BIT:
                    raise UserError.at(where, f"{str(path)!r} has pixels of mode {image.mode!r}", ADVICE)
                upright = ImageOps.exif_transpose(image)
                found = upright.convert("RGBA") if upright.mode in ("P", "PA") else upright
                picture: Image.Image = found.convert("L" if grayscale else "RGB")
    except (*broken, *bombs) as error:
        reason = " ".join(str(error).split())
        raise UserError.at(where, f"{str(path)!r} cannot be read: {reason}", ADVICE) from None
    pixels = np.asarray(picture if size is None else centre_crop(picture, size, crop), dtype=np.uint8)
    return pixels[None] if grayscale else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def centre_crop(image: Image, size: int, crop: float) -> Image:
    """Scale the shorter side to ``round(size / crop)`` with bicubic interpolation and cut out the centre."""
    from PIL.Image import Resampling

    width, height = image.size
    factor = round(size / crop) / min(width, height)
    scaled = (max(size, round(width * factor)), max(size, round(height * factor)))
    if scaled != image.size:
        image = image.resize(scaled, Resampling.BICUBIC)
    left, top = (scaled[0] - size) // 2, (scaled[1] - size) // 2
    return image.crop((left, top, left + size, top + size))

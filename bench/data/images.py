"""Decodes, orients and crops PNG and JPEG images."""

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
EIGHT: Final = 8
ORIENTATION: Final = 0x0112  # the number of EXIF's tag
ADVICE: Final = "give 8-bit PNG or JPEG images, whole"


def decode(path: Path, size: int | None, crop: float, grayscale: bool, where: str) -> NDArray[np.uint8]:
    """One image as (channels, height, width), upright as its EXIF orientation says; transparency is dropped.

    EXIF that cannot be read says nothing, as for viewers. CMYK becomes RGB without its colour profile.

    Args:
        path: a PNG or JPEG file of eight bits a channel.
        size: height and width; None keeps the image's own.
        crop: with ``size``, the shorter side becomes ``size / crop`` (bicubic), then the centre is cut out.
        grayscale: one channel (luma) instead of three.
        where: what error messages name.

    Raises:
        UserError: the file cannot be read, is cut short, too large, or of another format.
    """
    from PIL import Image, UnidentifiedImageError

    broken = (OSError, SyntaxError, ValueError, UnidentifiedImageError)
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*orrupt EXIF")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.mode not in EIGHT_BIT:
                    raise UserError.at(where, f"{str(path)!r} has pixels of mode {image.mode!r}", ADVICE)
                if image.format == "PNG" and _depth(path) > EIGHT:  # which Pillow would cut off
                    raise UserError.at(where, f"{str(path)!r} has 16 bits a channel", ADVICE)
                image.load()
                coloured = image.convert("RGBA") if image.mode in ("P", "PA") else image
                coloured = upright(coloured, orientation(image))
                picture: Image.Image = coloured.convert("L" if grayscale else "RGB")
    except (*broken, *bombs) as error:
        reason = " ".join(str(error).split())
        raise UserError.at(where, f"{str(path)!r} cannot be read: {reason}", ADVICE) from None
    pixels = np.asarray(picture if size is None else centre_crop(picture, size, crop), dtype=np.uint8)
    return pixels[None] if grayscale else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _depth(path: Path) -> int:
    """Bits a channel of a PNG file, from its header."""
    with path.open("rb") as file:
        return file.read(25)[24]


def orientation(image: Image) -> int:
    """The EXIF orientation of an opened image, 1 to 8; 1, upright, where there is none or it cannot be read.

    Of a PNG file it may stand behind the pixels: load them first.
    """
    try:
        tag = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow's parser raises anything on damaged EXIF
        return 1
    return tag if tag in range(1, 9) else 1


def upright(image: Image, tag: int) -> Image:
    """The image as its EXIF orientation says that it is to be looked at.

    >>> from PIL import Image
    >>> list(upright(Image.frombytes("L", (3, 1), b"abc"), 8).tobytes())  # turned a quarter to the left
    [99, 98, 97]
    """
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[tag]) if tag in turns else image


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

"""Words drawn here, upright or upside down: what the angle classifier of a text reader is asked about."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pydantic import Field

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.splitting import split, stratified_order
from bench.errors import UserError
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import generator

NAME: Final = "rendered-words"
CLASSES: Final = ("0", "180")
HEIGHT: Final = 48
WIDTH: Final = 192
PADDING: Final = 0.5  # zero, once (x - 0.5) / 0.5 is taken
CONTRAST: Final = 0.25  # least distance of the two colours' mean brightness
TEXT: Final = (
    "about above after again along apple arrival autumn bakery basket before bottle bridge butter candle castle "
    "change chapel coffee corner cotton delivery dinner doctor engine entrance evening exit family father flower "
    "forest garden gate glass harbour history hotel island january kitchen ladder letter library market meadow "
    "middle mirror monday morning museum number office orange paper pencil people platform police price quarter "
    "question railway receipt river school season shelter silver station street summer sunday table theatre ticket "
    "timber total tower travel tunnel village violet wagon water weather window winter yellow young zebra"
)
WORDS: Final = TEXT.split()


@loaders.register(NAME)
@parameters
class RenderedWords(Loader):
    """Words in Pillow's own font and two colours, 3x48x192 in [0, 1], every other one turned by 180 degrees.

    Each is cropped, resized to 48 pixels of height with its ratio kept (192 of width at most) and padded with grey on
    the right. Ids are ``rendered-words/ROW``; pixels follow ``seed``, the row and Pillow's version.
    """

    words: Annotated[int, Field(ge=2, le=100_000, description="how many are drawn for all three splits")] = 1000
    channels: Annotated[Literal["RGB", "BGR"], Field(description="their order; OpenCV gives BGR")] = "RGB"
    seed: Annotated[int, Field(ge=0, description="which words and colours, and the order of the splits")] = 0

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """Draw and split the words; what is in neither split is for training."""
        x = np.stack([draw_word(row, self.seed) for row in range(self.words)])
        if self.channels == "BGR":
            x = np.ascontiguousarray(x[:, ::-1])
        labels = np.arange(self.words, dtype=np.int64) % 2
        samples = Samples(tuple(f"{NAME}/{row:05d}" for row in range(self.words)), x, labels)
        order = stratified_order(labels, self.words, NAME, self.seed)
        declared = InputSpec(shape=(3, HEIGHT, WIDTH), classes=CLASSES)
        return split(NAME, samples, order, declared, evaluation, calibration)


def draw_word(row: int, seed: int) -> NDArray[np.float32]:
    """The image (3, 48, 192) of one row, RGB in [0, 1]; odd rows are upside down.

    Raises:
        UserError: this Pillow has no scalable font.
    """
    random = generator(NAME, seed, row)
    text = " ".join(str(random.choice(WORDS)) for _ in range(random.integers(1, 3)))
    text = (str.lower, str.upper, str.title)[random.integers(3)](text)
    try:
        font = ImageFont.load_default(size=int(random.integers(16, 49)))
    except ImportError:
        raise UserError.at("data.loader", "this Pillow was built without FreeType", "install Pillow's wheel") from None
    colours = random.integers(0, 256, (2, 3))
    while abs(np.diff(colours.mean(axis=1))[0]) < CONTRAST * 255:
        colours = random.integers(0, 256, (2, 3))
    paper, ink = (tuple(int(part) for part in colour) for colour in colours)
    left, top, right, bottom = font.getbbox(text)
    margin = [int(part) for part in random.integers(2, 7, 4)]
    size = math.ceil(right - left) + margin[0] + margin[1], math.ceil(bottom - top) + margin[2] + margin[3]
    image = Image.new("RGB", size, paper)
    ImageDraw.Draw(image).text((margin[0] - left, margin[2] - top), text, fill=ink, font=font)
    image = image.filter(ImageFilter.GaussianBlur(float(random.uniform(0, 1.2))))
    width = min(WIDTH, math.ceil(HEIGHT * image.width / image.height))
    pixels = np.asarray(image.resize((width, HEIGHT), Image.Resampling.BILINEAR), dtype=np.float32) / np.float32(255)
    pixels = pixels + np.float32(random.uniform(0, 0.1)) * random.standard_normal(pixels.shape, dtype=np.float32)
    pixels = pixels[::-1, ::-1] if row % 2 else pixels
    padded = np.full((3, HEIGHT, WIDTH), PADDING, dtype=np.float32)
    padded[:, :, :width] = pixels.clip(0, 1).transpose(2, 0, 1)
    return padded

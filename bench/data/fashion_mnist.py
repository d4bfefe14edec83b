"""Fashion-MNIST: 70,000 images of clothing, 28x28 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.downloads import data_folder
from bench.data.idx import read_idx
from bench.data.published import Published, download, find_folder, read_published
from bench.data.splitting import check_dataset, cut, stratified_order
from bench.errors import UserError
from bench.networks.network import InputSpec
from bench.registry import parameters

NAME: Final = "fashion-mnist"
DEBIAN: Final = Path("/usr/share/datasets/fashion-mnist")  # package dataset-fashion-mnist
URL: Final = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
CLASSES: Final = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
TRAIN: Final = (
    Published(
        "train-images-idx3-ubyte.gz", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 47_040_016
    ),
    Published("train-labels-idx1-ubyte.gz", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 60_008),
)
TEST: Final = (
    Published(
        "t10k-images-idx3-ubyte.gz", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 7_840_016
    ),
    Published("t10k-labels-idx1-ubyte.gz", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 10_008),
)


@loaders.register(NAME)
@parameters
class FashionMnist(Loader):
    """Fashion-MNIST: grey images of clothing, 28x28 pixels in [0, 1], ten classes.

    Evaluation samples come from the official test file alone (10,000), training and calibration samples from the
    training file alone (60,000). The files are those of Debian's package dataset-fashion-mnist, of
    ``$CRBENCH_DATA/fashion-mnist``, or else downloaded into that folder or into ``data/fashion-mnist`` of the store;
    their content is always checked. Ids are ``fashion-mnist/test/ROW`` and ``fashion-mnist/train/ROW``.
    Source: Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747.
    """

    training: Annotated[int | None, Field(ge=0, description="training samples at most; all by default")] = None
    seed: Annotated[int, Field(ge=0, description="which fixed order the splits are cut from")] = 0
    url: Annotated[str, Field(description="where the files are downloaded from where no folder holds them")] = URL

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """Evaluation from the test file; the others from the training file."""
        folder = _folder(self.url)
        test = _read(folder, TEST)
        order = stratified_order(test[1], len(test[1]), NAME, "test", self.seed)
        chosen = cut(f"{NAME} (test file)", order, evaluation, 0).evaluation
        rows = self._training_rows(folder, calibration)
        return check_dataset(
            Dataset(
                name=NAME,
                input=InputSpec(shape=(1, 28, 28), classes=CLASSES),
                train=_samples("train", *rows[0]),
                calibration=_samples("train", *rows[1]),
                evaluation=_samples("test", *test, chosen),
            )
        )

    def _training_rows(self, folder: Path, calibration: int) -> list[tuple[NDArray[np.uint8], NDArray[np.int64], Rows]]:
        """Pixels, labels and rows of the training and of the calibration samples."""
        pixels, labels = _read(folder, TRAIN)
        if not 0 <= calibration <= len(labels):
            what = f"{calibration} samples asked, the training file has {len(labels)}"
            raise UserError.at("data.calibration", what, f"ask for at most {len(labels)}")
        order = stratified_order(labels, len(labels), NAME, "train", self.seed)
        most = len(order) - calibration
        head = order[: most if self.training is None else min(self.training, most)]
        return [(pixels, labels, head), (pixels, labels, order[most:])]


Rows = NDArray[np.int64]


def _folder(url: str) -> Path:
    """The folder of all four files, after a download if need be."""
    files = (*TRAIN, *TEST)
    if folder := find_folder(files, (DEBIAN,)):
        return folder
    kept = data_folder(NAME)
    for file in files:
        if not (kept / file.name).is_file():
            download(file, url, NAME)
    return kept


def _read(folder: Path, files: tuple[Published, Published]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (n, 28, 28) and labels (n,) of one pair of files."""
    images, labels = (read_published(folder / file.name, file) for file in files)
    pixels = read_idx(images, 3, str(folder / files[0].name))
    return pixels, read_idx(labels, 1, str(folder / files[1].name)).astype(np.int64)


def _samples(file: str, pixels: NDArray[np.uint8], labels: NDArray[np.int64], rows: Rows) -> Samples:
    """The samples of the rows that are asked for: only these become float."""
    x = pixels[rows, None].astype(np.float32) / np.float32(255)
    return Samples(tuple(f"{NAME}/{file}/{row:05d}" for row in rows), x, labels[rows])

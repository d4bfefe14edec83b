"""scikit-learn's handwritten digits: 1797 images of 8x8 pixels."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.splitting import split, stratified_order
from bench.networks.network import InputSpec
from bench.registry import parameters

CLASSES = tuple(str(digit) for digit in range(10))


@loaders.register("digits")
@parameters
class Digits(Loader):
    """scikit-learn's handwritten digits: 1797 grey images of 8x8 pixels in [0, 1], ten classes.

    Ids are ``digits/ROW`` by row in the source. The order is stratified and fixed by ``seed``.
    """

    seed: Annotated[int, Field(ge=0, description="which fixed order the splits are cut from")] = 0

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """Split the 1797 images; what is in neither split is for training."""
        pixels, labels = _read()
        x = np.ascontiguousarray(pixels.reshape(-1, 1, 8, 8) / 16.0, dtype=np.float32)
        samples = Samples(tuple(f"digits/{row:04d}" for row in range(len(x))), x, labels)
        declared = InputSpec(shape=(1, 8, 8), classes=CLASSES)
        order = stratified_order(labels, len(x), "digits", self.seed)
        return split("digits", samples, order, declared, evaluation, calibration)


def _read() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Pixels (1797, 64) in 0..16 and labels (1797,).

    The file is read by itself where scikit-learn keeps it: importing scikit-learn takes longer than everything
    else in a run that finds all its results stored.
    """
    spec = find_spec("sklearn")
    folder = Path((spec.submodule_search_locations or ["."])[0] if spec else ".")
    bundled = folder / "datasets" / "data" / "digits.csv.gz"
    if bundled.is_file():
        with gzip.open(bundled, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",")
        return table[:, :-1], table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels, dtype=np.float64), np.asarray(labels, dtype=np.int64)

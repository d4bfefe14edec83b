"""Images of the user's own: a folder with one sub-folder a class."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.images import decode
from bench.data.splitting import check_dataset, cut, stratified_order
from bench.errors import UserError, legible
from bench.networks.network import InputSpec
from bench.registry import parameters

NAME: Final = "folder"
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
LARGE: Final = 256 * 2**20  # bytes of one split from which on it lies in a file instead of in memory


class Picture(NamedTuple):
    """The path of an image and its class."""

    id: str
    label: int
    path: Path


@loaders.register(NAME)
@parameters
class Folder(Loader):
    """PNG and JPEG images in one sub-folder a class; pixels in [0, 1], classes in the sorted order of their names.

    Only what a split asks for is decoded, and a split of more than 256 MiB lies in a temporary file, not in memory.
    Hidden files are passed over; anything else that is no image is an error. Ids are ``folder/CLASS/FILE``.
    """

    path: Annotated[
        Path,
        Field(
            description="the folder; relative paths start at the suite", json_schema_extra={"format": "directory-path"}
        ),
    ]
    size: Annotated[
        int | None, Field(ge=4, le=4096, description="height and width; by default images keep theirs, all the same")
    ] = None
    crop: Annotated[
        float, Field(gt=0, le=1, description="with size: share of the scaled image's shorter side that is kept")
    ] = 1.0
    grayscale: Annotated[bool, Field(description="one channel instead of three")] = False
    training: Annotated[
        int | None, Field(ge=0, description="training samples at most; all that is left by default")
    ] = None
    mean: Annotated[tuple[float, ...], Field(min_length=1, description="taken off each channel")] = (0.0,)
    std: Annotated[tuple[float, ...], Field(min_length=1, description="each channel is divided by it")] = (1.0,)
    seed: Annotated[int, Field(ge=0, description="which fixed order the splits are cut from")] = 0

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """Split the folder; what is in neither split is for training."""
        self._check_statistics()
        classes, pictures = find_pictures(self.path, "data.path")
        labels = np.array([picture.label for picture in pictures], dtype=np.int64)
        rows = cut(NAME, stratified_order(labels, len(labels), NAME, self.seed), evaluation, calibration)
        shape = self._decode(pictures[int(rows.evaluation[0])]).shape
        train = rows.train if self.training is None else rows.train[: self.training]
        declared = InputSpec(shape=tuple(shape), classes=classes, mean=self.mean, std=self.std)
        train_part, calibration_part, evaluation_part = (
            self._samples([pictures[row] for row in index], shape)
            for index in (train, rows.calibration, rows.evaluation)
        )
        return check_dataset(Dataset(NAME, declared, train_part, calibration_part, evaluation_part))

    def _decode(self, picture: Picture) -> NDArray[np.uint8]:
        return decode(picture.path, self.size, self.crop, self.grayscale, "data.path")

    def _samples(self, pictures: Sequence[Picture], shape: tuple[int, ...]) -> Samples:
        x = room(len(pictures), shape)
        for row, picture in enumerate(pictures):
            pixels = self._decode(picture)
            if pixels.shape != shape:
                what = f"{picture.id!r} has shape {pixels.shape}, others {tuple(shape)}"
                raise UserError.at("data.path", what, "give data.size, so that all are scaled and cropped")
            x[row] = pixels
            x[row] /= np.float32(255)
        ids = tuple(picture.id for picture in pictures)
        return Samples(ids, x, np.array([picture.label for picture in pictures], dtype=np.int64))

    def _check_statistics(self) -> None:
        channels = 1 if self.grayscale else 3
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                what = f"{len(values)} values for {channels} channels"
                raise UserError.at(f"data.{key}", what, f"give 1 or {channels}")
        if min(self.std) <= 0:
            raise UserError.at("data.std", f"{list(self.std)}", "give positive values")


def room(n: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An array (n, *shape) float32: in memory, or in an unnamed temporary file where it is large."""
    size = n * math.prod(shape) * 4
    if size <= LARGE:
        return np.empty((n, *shape), dtype=np.float32)
    with tempfile.TemporaryFile() as file:  # the array keeps the file for as long as it lives
        mapped: np.memmap[Any, np.dtype[np.float32]] = np.memmap(file, np.float32, mode="w+", shape=(n, *shape))
    return mapped


def find_pictures(folder: Path, where: str) -> tuple[tuple[str, ...], list[Picture]]:
    """The classes and every image, both sorted by name; nothing is decoded.

    Raises:
        UserError: no such folder, fewer than two classes, a class without images, something that is no image, or a
            link that leads out of the folder.
    """
    if not folder.is_dir():
        raise UserError.at(where, f"no folder {str(folder)!r}", "give a folder with one sub-folder a class")
    root = folder.resolve()
    entries = _visible(folder)
    for entry in entries:
        _check_inside(entry, root, where)
        if not entry.is_dir():
            raise UserError.at(where, f"{entry.name!r} lies beside the classes", "put each image into its class")
    if len(entries) < 2:
        what = f"{str(folder)!r} holds {len(entries)} classes"
        raise UserError.at(where, what, "give two sub-folders or more, one a class")
    pictures: list[Picture] = []
    for label, entry in enumerate(entries):
        files = _visible(entry)
        if not files:
            raise UserError.at(where, f"class {entry.name!r} holds no image", "fill it or remove it")
        for path in files:
            _check_inside(path, root, where)
            if not path.is_file() or path.suffix.lower() not in SUFFIXES:
                what = f"{entry.name}/{path.name} is no .png, .jpg or .jpeg file"
                raise UserError.at(where, what, "keep images alone in a class, without further folders")
            pictures.append(Picture(legible(f"{NAME}/{entry.name}/{path.name}"), label, path))
    return tuple(legible(entry.name) for entry in entries), pictures


def _visible(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)


def _check_inside(path: Path, root: Path, where: str) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        what = f"{path.relative_to(path.parents[1])} is a link out of the folder"
        raise UserError.at(where, str(what), "copy what it leads to")

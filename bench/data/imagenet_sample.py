"""The loader of foolbox's 20 images of ImageNet."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.images import decode
from bench.data.splitting import check_dataset, cut, stratified_order
from bench.errors import MissingExtra, UserError
from bench.networks.network import InputSpec
from bench.registry import parameters

NAME: Final = "imagenet-sample"
FILE: Final = re.compile(r"imagenet_(\d\d)_(\d{1,3})\.jpg")
CLASSES: Final = tuple(str(number) for number in range(1000))
COUNT: Final = 20


@loaders.register(NAME)
@parameters
class ImagenetSample(Loader):
    """20 photographs of ImageNet from the package foolbox, with ImageNet's 1000 classes: too few for conclusions.

    The shorter side is scaled to ``size / crop`` (bicubic) and the centre is cut out. There is no training split, and
    calibration samples are taken away from evaluation: together they are at most 20, say 16 and 4.
    Classes are called by number, 0 to 999. Ids are ``imagenet-sample/NN_LABEL``.
    """

    size: Annotated[int, Field(ge=8, le=1024, description="height and width of an image")] = 224
    crop: Annotated[float, Field(gt=0, le=1, description="share of the scaled image's shorter side that is kept")] = (
        224 / 256
    )
    bounds: Annotated[tuple[float, float], Field(description="range of the pixels: [0, 1] or [0, 255]")] = (0.0, 1.0)
    seed: Annotated[int, Field(ge=0, description="which fixed order the splits are cut from")] = 0

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """Evaluation and calibration samples, disjoint; what is in neither is not used."""
        if self.bounds not in ((0.0, 1.0), (0.0, 255.0)):
            raise UserError.at("data.bounds", f"{list(self.bounds)} is no range of pixels", "give [0, 1] or [0, 255]")
        paths = _paths()
        if evaluation + calibration > len(paths):
            what = f"{evaluation} + {calibration} samples asked, {NAME!r} has {len(paths)}"
            raise UserError.at("data.evaluation", what, "say how they are shared: evaluation = 16, calibration = 4")
        order = stratified_order(None, len(paths), NAME, self.seed)
        rows = cut(NAME, order, evaluation, calibration)
        dataset = Dataset(
            name=NAME,
            input=InputSpec(shape=(3, self.size, self.size), classes=CLASSES, bounds=self.bounds),
            train=self._samples([]),
            calibration=self._samples([paths[row] for row in rows.calibration]),
            evaluation=self._samples([paths[row] for row in rows.evaluation]),
            partial=True,
        )
        return check_dataset(dataset)

    def _samples(self, paths: list[tuple[str, int, Path]]) -> Samples:
        x = np.empty((len(paths), 3, self.size, self.size), dtype=np.float32)
        for row, (_, _, path) in enumerate(paths):
            x[row] = decode(path, self.size, self.crop, grayscale=False, where="data")
        if self.bounds[1] == 1:
            x /= np.float32(255)
        return Samples(tuple(sample for sample, _, _ in paths), x, np.array([y for _, y, _ in paths], dtype=np.int64))


def _paths() -> list[tuple[str, int, Path]]:
    """Id, label and file of each image, sorted; foolbox itself is not imported."""
    spec = find_spec("foolbox")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("foolbox", NAME)
    folder = Path(spec.submodule_search_locations[0]) / "data"
    named = [(FILE.fullmatch(path.name), path) for path in sorted(folder.glob("imagenet_*"))]
    matches = [(match, path) for match, path in named if match]
    if len(matches) != COUNT:
        raise UserError.at(
            "data", f"foolbox holds {len(matches)} images of ImageNet, not {COUNT}", "install foolbox anew"
        )
    return [(f"{NAME}/{match[1]}_{match[2]}", int(match[2]), path) for match, path in matches]

"""Images, or vectors, of the user's own from a numpy ``.npz`` file."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.arrays import array_samples
from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.splitting import split, stratified_order
from bench.errors import UserError
from bench.limits import UNPACKED
from bench.networks.network import InputSpec, declared_axis
from bench.registry import parameters
from bench.store.arrays import DAMAGE, check_unpacked

ARRAYS = "give the arrays x and, with labels, y"


def read_npz(path: Path, bounds: tuple[float, float] = (0.0, 1.0), where: str = "data") -> Samples:
    """Read ``x``, images (n, channels, height, width) or (n, height, width) or vectors (n, features), and ``y`` (n,).

    Ids are ``npz/ROW`` by row in the file. Objects are never unpickled.

    Raises:
        UserError: no such file, no numpy archive, wrong keys, shapes or types, values not finite or out of bounds.
    """
    arrays = _read_arrays(Path(path), where)
    return array_samples(arrays["x"], arrays.get("y"), bounds, f"{where}.")


def _read_arrays(path: Path, where: str) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise UserError.at(where, f"no file {str(path)!r}", "give the path of an .npz file")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip archive")
        with zipfile.ZipFile(path) as packed:
            check_unpacked(packed, path.stat().st_size)
            items = {item.filename.removesuffix(".npy"): item for item in packed.infolist()}
            if "x" not in items or set(items) - {"x", "y"}:
                first = sorted(items)[:10]
                names = ", ".join(name[:40] for name in first) + (" and more" if len(items) > 10 else "")
                raise UserError.at(where, f"{path} holds {names or 'nothing'}", ARRAYS)
            for name, item in items.items():
                with packed.open(item) as content:
                    _check_header(content, item.file_size, name, path.stat().st_size)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in items}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something other than arrays")
        return arrays
    except UserError:
        raise
    except DAMAGE as error:
        reason = "it holds pickled objects" if "allow_pickle" in str(error) else " ".join(str(error).split())[:300]
        right = "write it with numpy.savez and plain arrays"
        if UNPACKED.variable in reason:
            reason, _, right = reason.rpartition("; ")
        raise UserError.at(where, f"cannot read {str(path)!r}: {reason}", right) from None


def _check_header(content: IO[bytes], size: int, name: str, packed: int) -> None:
    """Raise ``ValueError`` where an array's header and its size differ, or where it grows too large as float32."""
    try:
        version = np.lib.format.read_magic(content)
    except ValueError:
        raise ValueError("it holds something other than arrays") from None
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} is of an unknown format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(content)
    if dtype.hasobject:
        return  # refused in numpy's own words
    count, start = math.prod(shape), content.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - start:
        raise ValueError(f"{name} declares shape {shape} of {dtype} and holds {size - start} bytes")
    wanted = 4 * count
    if name == "x" and wanted > UNPACKED.most and wanted > 4 * packed:
        raise ValueError(f"{UNPACKED.exceeded(wanted, 'x takes ')}; {UNPACKED.advice}")


@loaders.register("npz")
@parameters
class Npz(Loader):
    """A numpy ``.npz`` file: ``x``, images (n, channels, height, width) or vectors (n, features); ``y`` (n,) labels."""

    path: Annotated[Path, Field(description="the .npz file; relative paths start at the current folder")]
    bounds: Annotated[tuple[float, float], Field(description="lowest and highest value a pixel may have")] = (0.0, 1.0)
    classes: Annotated[tuple[str, ...] | None, Field(description="names in order; 0..max(y) by default")] = None
    mean: Annotated[tuple[float, ...], Field(min_length=1, description="taken off each channel, or feature")] = (0.0,)
    std: Annotated[tuple[float, ...], Field(min_length=1, description="each channel, or feature, is divided by it")] = (
        1.0,
    )
    seed: Annotated[int, Field(ge=0, description="which fixed order the splits are cut from")] = 0

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """Split the file; what is in neither split is for training."""
        if not self.bounds[0] < self.bounds[1]:
            raise UserError.at("data.bounds", f"{list(self.bounds)} is empty", "give low < high")
        samples = read_npz(self.path, self.bounds)
        channels = samples.x.shape[1]
        for key in ("mean", "std"):
            if len(getattr(self, key)) not in (1, channels):
                what = f"{len(getattr(self, key))} values for {channels} {declared_axis(samples.x.shape[1:])}"
                raise UserError.at(f"data.{key}", what, f"give 1 or {channels}")
        if min(self.std) <= 0:
            raise UserError.at("data.std", f"{list(self.std)}", "give positive values")
        declared = InputSpec(
            shape=tuple(samples.x.shape[1:]),
            classes=self._classes(samples),
            bounds=self.bounds,
            mean=self.mean,
            std=self.std,
        )
        order = stratified_order(samples.y, len(samples), "npz", self.seed)
        return split("npz", samples, order, declared, evaluation, calibration)

    def _classes(self, samples: Samples) -> tuple[str, ...]:
        if self.classes is not None:
            return self.classes
        if samples.y is None:
            raise UserError.at("data.classes", "the file has no labels y", "name the classes in order")
        return tuple(str(label) for label in range(int(samples.y.max()) + 1))

"""Per-sample arrays of a run beside its results, or of a baseline beside its figures: one npz, nothing pickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from bench.errors import UserError
from bench.store.arrays import DAMAGE, packed, read_arrays
from bench.store.files import write_atomic
from bench.wording import plain

ARRAYS = "arrays.npz"
ARRAYS_VERSION = 2

Arrays = Mapping[str, NDArray[Any]]
Form = Literal["proportion", "mean", "statistic", "count", "distance", "timing"]
OTHERS = "damaged, or arrays of another run: they are not those that the file beside them was written with"
LARGEST = 2 * 2**30  # bytes that a file may unpack to


@dataclass(frozen=True, eq=False)
class ValueSamples:
    """The arrays of one value of a cell, sample by sample.

    proportion, mean: the network's own figure is the mean of ``variant["x"]`` (n,). count, distance: the change is the
    mean of ``variant["x"]``. statistic: ``variant`` holds the inputs of the metric's own statistic. timing:
    ``variant["x"]`` and ``reference["x"]`` are the rounds, taken in turn. ``variant["rows"]``: which samples count, by
    index, where not all do.
    """

    form: Form
    variant: Arrays
    reference: Arrays = field(default_factory=dict)
    better: Literal["lower", "higher", "none"] = "none"
    power: Literal[1, 2] = 1
    log: bool = False


@dataclass(frozen=True, eq=False)
class CellSamples:
    """A cell's values, and what must be equal for two cells to be compared."""

    key: str  # the cell's own: equal keys, equal arrays
    network: str  # hash of the network that was measured
    identity: dict[str, Any]  # data, reference, yardsticks, metric, version, parameters, n
    machine: str  # fingerprint, for timings
    values: dict[str, ValueSamples]


@dataclass(frozen=True, eq=False)
class RunSamples:
    """All cells of a run that are judged, and the labels of the samples."""

    cells: dict[str, CellSamples]  # by ``CellId.path``
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    first: dict[str, CellSamples] = field(default_factory=dict)  # of a baseline: as they were first accepted


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Value(_Record):
    form: Form
    variant: dict[str, str]
    reference: dict[str, str]
    better: Literal["lower", "higher", "none"]
    power: Literal[1, 2]
    log: bool


class _Identity(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    data: str
    reference: str
    yardsticks: str
    version: int
    n: int = Field(ge=0)


class _Cell(_Record):
    key: str
    network: str
    identity: _Identity
    machine: str
    values: dict[str, _Value]


class _Index(_Record):
    """The index beside the arrays, as read from a file: every type is checked."""

    version: int
    labels: str | None
    classes: list[str]
    cells: dict[str, _Cell]
    first: dict[str, _Cell]


def to_bytes(samples: RunSamples) -> bytes:
    """The content of an ``arrays.npz``: arrays a0, a1, ... and an index in JSON."""
    arrays: dict[str, NDArray[Any]] = {}
    names: dict[tuple[str, tuple[int, ...], str], str] = {}  # the reference's arrays are shared by all variants

    def put(given: NDArray[Any]) -> str:
        array = np.ascontiguousarray(given)
        content = hashlib.sha256(array.tobytes()).hexdigest()
        name = names.setdefault((array.dtype.str, given.shape, content), f"a{len(names)}")
        arrays[name] = array.reshape(given.shape)
        return name

    def table(given: Arrays) -> dict[str, str]:
        return {key: put(given[key]) for key in sorted(given)}

    def listed(cells: Mapping[str, CellSamples]) -> dict[str, Any]:
        return {
            path: {
                "key": cell.key, "network": cell.network, "identity": cell.identity, "machine": cell.machine,
                "values": {
                    name: {
                        "form": value.form, "variant": table(value.variant), "reference": table(value.reference),
                        "better": value.better, "power": value.power, "log": value.log,
                    }
                    for name, value in cell.values.items()
                },
            }
            for path, cell in cells.items()
        }  # fmt: skip

    cells, first = listed(samples.cells), listed(samples.first)
    labels = None if samples.labels is None else put(samples.labels)
    index = {"version": ARRAYS_VERSION, "labels": labels, "classes": list(samples.classes), "cells": cells}
    index["first"] = first
    arrays["index"] = np.frombuffer(json.dumps(index, allow_nan=False).encode(), dtype=np.uint8)
    return packed(arrays)


def write_samples(samples: RunSamples, folder: Path) -> Path:
    """Write them beside a run's results."""
    write_atomic(folder / ARRAYS, to_bytes(samples))
    return folder / ARRAYS


def read_samples(path: Path, sha256: str | None = None, advice: str = "measure the suite again") -> RunSamples:
    """Read an ``arrays.npz``, or that of a baseline.

    Args:
        path: The file.
        sha256: What its content must have, as the file beside it says; None: anything.
        advice: What to do about a damaged file.

    Raises:
        UserError: it is damaged, of another version, or has another ``sha256``.
    """
    try:
        content = path.read_bytes()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise UserError.at(str(path), OTHERS, f"keep both files together, or {advice}")
        arrays = read_arrays(content, LARGEST)
        index = json.loads(bytes(arrays["index"]))
        if isinstance(index, dict) and index.get("version") != ARRAYS_VERSION:
            what = f"arrays of version {plain(index.get('version'))}, this program reads {ARRAYS_VERSION}"
            raise UserError.at(str(path), what, advice)
        return _from(_Index.model_validate(index, strict=True), arrays)
    except DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged or no such file"
        raise UserError.at(str(path), f"cannot be read: {reason}", advice) from None


def _from(index: _Index, arrays: dict[str, NDArray[Any]]) -> RunSamples:
    def value(given: _Value, n: int) -> ValueSamples:
        variant = {key: arrays[name] for key, name in given.variant.items()}
        reference = {key: arrays[name] for key, name in given.reference.items()}
        samples = ValueSamples(given.form, variant, reference, given.better, given.power, given.log)
        check_samples(samples, n)
        return samples

    def read(cells: dict[str, _Cell]) -> dict[str, CellSamples]:
        return {
            path: CellSamples(
                cell.key, cell.network, cell.identity.model_dump(), cell.machine,
                {name: value(given, cell.identity.n) for name, given in cell.values.items()},
            )
            for path, cell in cells.items()
        }  # fmt: skip

    labels = None if index.labels is None else arrays[index.labels]
    if labels is not None and (labels.ndim != 1 or labels.dtype != np.int64):
        raise ValueError("labels of another type")
    return RunSamples(read(index.cells), labels, tuple(index.classes), read(index.first))


def check_samples(samples: ValueSamples, n: int) -> None:
    """Raise ``ValueError`` where arrays cannot be what their form says.

    Every number is finite; rates are of 0 and 1; ``x`` has n entries; rounds of timings come in pairs and are positive.
    """
    tables = (samples.variant, samples.reference)
    for array in (array for table in tables for array in table.values()):
        if array.dtype.kind not in "buif" or not np.isfinite(array).all():
            raise ValueError("arrays that hold more than finite numbers")
    if samples.form == "statistic":
        return
    if "x" not in samples.variant:
        raise ValueError("the array x is missing")
    x, others = samples.variant["x"], [table["x"] for table in tables if "x" in table]
    rows = samples.variant.get("rows")  # a part of the samples: which
    if rows is not None and (rows.dtype.kind not in "iu" or (rows.size and not (rows.min() >= 0 and rows.max() < n))):
        raise ValueError("samples that there are not")
    size = n if rows is None else rows.size
    if x.ndim != 1 or any(array.shape != x.shape for array in others) or (samples.form != "timing" and x.size != size):
        raise ValueError("arrays of another size than the samples'")
    if samples.form in ("proportion", "count") and not all(np.isin(array, (0, 1)).all() for array in others):
        raise ValueError("a rate that is not made of 0 and 1")
    if samples.form == "timing" and (len(others) < 2 or not x.size or min(array.min() for array in others) <= 0):
        raise ValueError("timings that are not positive")

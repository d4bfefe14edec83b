"""Per-sample arrays of a run, beside its results: one plain ``arrays.npz``, never a pickled object."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.store.files import write_atomic

ARRAYS = "arrays.npz"
ARRAYS_VERSION = 1

Arrays = Mapping[str, NDArray[Any]]
Form = Literal["proportion", "mean", "statistic", "count", "distance", "timing"]
FORMS = ("proportion", "mean", "statistic", "count", "distance", "timing")


@dataclass(frozen=True, eq=False)
class ValueSamples:
    """What one value of a cell was made of, sample by sample.

    proportion, mean: the network's own figure is the mean of ``variant["x"]`` (n,). count, distance: the change is the
    mean of ``variant["x"]``. statistic: ``variant`` holds the inputs of the metric's own statistic. timing:
    ``variant["x"]`` and ``reference["x"]`` are the rounds, taken in turn.
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
    """All cells of a run that are judged, by place, and the labels of the samples."""

    cells: dict[str, CellSamples]
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()


def place_of(variant: str, target: str, metric: str, params: Mapping[str, Any], replicate: int | None) -> str:
    """One text for a cell's place in a run; JSON, so that no name can be mistaken for two.

    >>> place_of("fold", "torch", "cost", {"rounds": 3}, 0)
    '["fold","torch","cost",{"rounds":3},0]'
    """
    return json.dumps([variant, target, metric, dict(params), replicate], sort_keys=True, separators=(",", ":"))


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

    cells = {
        place: {
            "key": cell.key, "network": cell.network, "identity": cell.identity, "machine": cell.machine,
            "values": {
                name: {
                    "form": value.form, "variant": table(value.variant), "reference": table(value.reference),
                    "better": value.better, "power": value.power, "log": value.log,
                }
                for name, value in cell.values.items()
            },
        }
        for place, cell in samples.cells.items()
    }  # fmt: skip
    labels = None if samples.labels is None else put(samples.labels)
    index = {"version": ARRAYS_VERSION, "labels": labels, "classes": list(samples.classes), "cells": cells}
    arrays["index"] = np.frombuffer(json.dumps(index, allow_nan=False).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def write_samples(samples: RunSamples, folder: Path) -> Path:
    """Write them beside a run's results."""
    write_atomic(folder / ARRAYS, to_bytes(samples))
    return folder / ARRAYS


def read_samples(path: Path) -> RunSamples:
    """Read an ``arrays.npz``; a damaged one, or one of another version, raises ``UserError``."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        index = json.loads(bytes(arrays["index"]))
        if index["version"] != ARRAYS_VERSION:
            what = f"arrays of version {index['version']}, this program reads {ARRAYS_VERSION}"
            raise UserError.at(str(path), what, "measure the suite again")
        return _from(index, arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged or no such file"
        raise UserError.at(str(path), f"cannot be read: {reason}", "measure the suite again") from None


def _from(index: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> RunSamples:
    def value(given: dict[str, Any]) -> ValueSamples:
        if given["form"] not in FORMS:
            raise ValueError(given["form"])
        variant = {key: arrays[name] for key, name in given["variant"].items()}
        reference = {key: arrays[name] for key, name in given["reference"].items()}
        return ValueSamples(given["form"], variant, reference, given["better"], given["power"], given["log"])

    cells = {
        place: CellSamples(
            cell["key"], cell["network"], cell["identity"], cell["machine"],
            {name: value(given) for name, given in cell["values"].items()},
        )
        for place, cell in index["cells"].items()
    }  # fmt: skip
    labels = None if index["labels"] is None else arrays[index["labels"]]
    return RunSamples(cells, labels, tuple(index["classes"]))

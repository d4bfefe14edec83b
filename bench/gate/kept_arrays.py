"""Per-sample arrays as a baseline keeps them: outcomes in a byte, other numbers in single precision."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.store.samples import Arrays, CellSamples, ValueSamples

SHORT = 16  # hex digits of a hash: 64 bits tell two measurements apart


def kept(array: NDArray[Any]) -> NDArray[Any]:
    """The array as a baseline keeps it.

    Outcomes of 0 and 1 as uint8, other whole numbers as int64, all others as float32: each number moves by at most
    6e-8 of itself. What float32 cannot hold stays float64.

    >>> kept(np.array([0.0, 1.0])).dtype.name, kept(np.array([0.1])).dtype.name, kept(np.array([1e300])).dtype.name
    ('uint8', 'float32', 'float64')
    """
    values = np.asarray(array)
    if values.size and values.dtype.kind in "buif" and np.isin(values, (0, 1)).all():
        return values.astype(np.uint8)
    if values.dtype.kind in "iub":
        return values.astype(np.int64)
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
    whole = np.isfinite(single).all() and ((single != 0) == (values != 0)).all()
    return single if whole else values.astype(np.float64)


def kept_value(samples: ValueSamples) -> ValueSamples:
    """A value's arrays as a baseline keeps them; the reference's only of timings, which need both networks."""
    reference = samples.reference if samples.form == "timing" else {}
    own, other = ({name: kept(array) for name, array in table.items()} for table in (samples.variant, reference))
    return ValueSamples(samples.form, own, other, better=samples.better, power=samples.power, log=samples.log)


def kept_cell(samples: CellSamples, names: list[str]) -> CellSamples:
    """These values of a cell, as a baseline keeps them."""
    values = {name: kept_value(samples.values[name]) for name in names}
    return CellSamples(samples.key, samples.network, samples.identity, samples.machine, values)


def restored(samples: ValueSamples) -> ValueSamples:
    """Kept arrays as statistics take them: in double precision."""
    own, other = (
        {n: np.asarray(a, dtype=np.float64) for n, a in t.items()} for t in (samples.variant, samples.reference)
    )
    return ValueSamples(samples.form, own, other, better=samples.better, power=samples.power, log=samples.log)


def digest(samples: ValueSamples) -> str:
    """16 hex digits of the sha256 of kept arrays and of what they are: equal for equal measurements."""
    content = hashlib.sha256(repr((samples.form, samples.better, samples.power, samples.log)).encode())
    for table in (samples.variant, samples.reference):
        for name in sorted(table):
            array = np.ascontiguousarray(table[name])
            content.update(repr((name, array.dtype.str, array.shape)).encode() + array.tobytes())
        content.update(b"\0")
    return content.hexdigest()[:SHORT]


def shapes(table: Arrays) -> dict[str, tuple[int, ...]]:
    """The shape of each array, by name."""
    return {name: array.shape for name, array in table.items()}

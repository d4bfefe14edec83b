"""Putting a probe to a network block by block, so that memory does not grow with the number of samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.data.base import Samples
from bench.probes.base import Context, Observation, Probe
from bench.runtimes.base import Predictor
from bench.store.rows import Rows
from bench.store.spill import release

ENTRIES = 2**23  # numbers of one block, of inputs or answers: 64 MB as float64
MOST = 2**26  # numbers of a block of 256 samples
STEP = 256  # samples by which blocks are counted, so that batches are the same in every block


def block_size(probe: Probe, predictor: Predictor) -> int:
    """Samples of one block, a multiple of 256; fewer where these would be 2^26 numbers or more."""
    declared = predictor.spec.input
    inputs = int(np.prod(declared.shape))
    entries = max(inputs, probe.entries(inputs, len(declared.classes)), 1)
    return max(min(STEP, max(1, MOST // entries)), ENTRIES // entries // STEP * STEP)


def ask_in_blocks(probe: Probe, predictor: Predictor, samples: Samples, context: Context) -> Observation:
    """The answer on all samples: of a ``rows`` probe block by block, of others at once.

    Rows are written as they come, large arrays into temporary files: these are never whole in memory.

    Raises:
        RuntimeError: two blocks are answered with other notes, which are the network's and not the samples'.
        ValueError: two blocks are answered with arrays of other names, axes or types.
    """
    size = block_size(probe, predictor)
    if probe.reads != "rows" or len(samples) <= size:
        return probe.ask(predictor, samples, context)
    arrays = {name: dict(item.arrays) for name, item in context.reference.items()}
    made: dict[str, Rows] = {}
    notes: dict[str, Any] | None = None
    for start in range(0, len(samples), size):
        rows = slice(start, start + size)
        needed = {
            name: Observation({key: array[rows] for key, array in arrays[name].items()}, item.notes)
            for name, item in context.reference.items()
        }
        part = probe.ask(predictor, samples.take(rows), replace(context, reference=needed))
        if not part.arrays:  # refused as a whole: the next block would be refused alike
            return part
        if notes is None:
            notes, made = part.notes, {name: Rows(len(samples)) for name in part.arrays}
        if part.notes != notes:
            raise RuntimeError(f"probe {probe.name!r} notes other things in other blocks of samples")
        if part.arrays.keys() != made.keys():
            raise ValueError(f"probe {probe.name!r} answers other arrays in other blocks of samples")
        for name, array in part.arrays.items():
            made[name].append(array)
        for whole in arrays.values():
            release(*whole.values())
    assert notes is not None
    return Observation({name: item.array() for name, item in made.items()}, notes)

"""Putting a probe to a network block by block, so that memory does not grow with the number of samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.data.base import Samples
from bench.probes.base import Context, Observation, Probe
from bench.runtimes.base import Predictor

ENTRIES = 2**23  # numbers of one block, of inputs or answers: 64 MB as float64
STEP = 256  # samples by which blocks are counted, so that batches are the same in every block


def block_size(probe: Probe, predictor: Predictor) -> int:
    """Samples of one block, a multiple of 256."""
    declared = predictor.spec.input
    inputs = int(np.prod(declared.shape))
    entries = max(inputs, probe.entries(inputs, len(declared.classes)), 1)
    return max(STEP, ENTRIES // entries // STEP * STEP)


def ask_in_blocks(probe: Probe, predictor: Predictor, samples: Samples, context: Context) -> Observation:
    """The answer on all samples: of a ``rows`` probe block by block, of others at once.

    Raises:
        RuntimeError: two blocks are answered with other notes, which are the network's and not the samples'.
    """
    size = block_size(probe, predictor)
    if probe.reads != "rows" or len(samples) <= size:
        return probe.ask(predictor, samples, context)
    parts: list[Observation] = []
    for start in range(0, len(samples), size):
        rows = slice(start, start + size)
        needed = {
            name: Observation({key: array[rows] for key, array in item.arrays.items()}, item.notes)
            for name, item in context.reference.items()
        }
        part = probe.ask(predictor, samples.take(rows), replace(context, reference=needed))
        if not part.arrays:  # refused as a whole: the next block would be refused alike
            return part
        parts.append(part)
    if any(part.notes != parts[0].notes for part in parts):
        raise RuntimeError(f"probe {probe.name!r} notes other things in other blocks of samples")
    arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays}
    return Observation(arrays, parts[0].notes)

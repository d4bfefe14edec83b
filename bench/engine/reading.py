"""The reading of an outside network's answers, as results say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from bench.results import Cell
from bench.runtimes.base import Predictor

SMALLEST: Final = 2.0**-126  # the smallest normal float32
WORDS: Final = {
    "removed": "outputs are probabilities: logits are read before the final softmax, costs with it",
    "kept": "outputs are probabilities: logits are their logarithms, with 0 counted as {zero:.3g}",
    "batch": "answers depend on the batch: every sample is run alone",
}


def reading(predictor: Predictor) -> dict[str, Any]:
    """The peculiarities of a network's answers, as JSON; nothing where they are plain logits."""
    peculiarities: dict[str, Any] = {}
    softmax = predictor.spec.softmax
    if softmax:
        peculiarities["output"] = {"is": "probabilities", "softmax": softmax}
        if softmax == "kept":
            peculiarities["output"]["zero_counts_as"] = predictor.smallest or SMALLEST
    return peculiarities | ({"batch_dependent": True} if predictor.network.batch_dependent else {})


def readings(cells: Iterable[Cell]) -> list[str]:
    """One line for each way of reading, with the networks that are read so.

    >>> cell = Cell(variant="edge", target="cpu", metric="m", family="fidelity", status="ok")
    >>> cell.details = {"variant": {"output": {"is": "probabilities", "softmax": "removed"}}}
    >>> readings([cell])
    ['edge: outputs are probabilities: logits are read before the final softmax, costs with it']
    """
    said: dict[str, list[str]] = {}
    for cell in cells:
        for role, name in (("reference", "the reference"), ("variant", cell.variant)):
            for text in _texts(cell.details.get(role, {})):
                names = said.setdefault(text, [])
                if name not in names:
                    names.append(name)
    return [f"{', '.join(names)}: {text}" for text, names in said.items()]


def _texts(details: dict[str, Any]) -> list[str]:
    output = details.get("output")
    texts = []
    if isinstance(output, dict) and output.get("softmax") in WORDS:
        texts.append(WORDS[output["softmax"]].format(zero=output.get("zero_counts_as", SMALLEST)))
    return texts + ([WORDS["batch"]] if details.get("batch_dependent") else [])

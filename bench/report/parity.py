"""The parity of the twin that gave the gradients with the session that runs, in one line."""

from __future__ import annotations

from collections.abc import Iterable

from bench.results import Cell, Parity, TwinParity
from bench.wording import plain, significant

UNITS = {"logit spread": "of the logit spread", "output step": "of the output's step"}


def parity_lines(cell: Cell) -> list[tuple[str, str]]:
    """(``twin of the reference`` or ``twin of the variant``, its figures) for each network whose twin a cell used."""
    return [(f"twin of the {side}", parity_line(twin)) for side, twin in _sides(cell)]


def _sides(cell: Cell) -> list[tuple[str, TwinParity]]:
    parity = cell.parity or Parity()
    both = (("reference", parity.reference), ("variant", parity.variant))
    return [(side, twin) for side, twin in both if twin is not None]


def parity_line(twin: TwinParity) -> str:
    """The result of a parity check, as a sentence.

    >>> difference = {"0.5": 0.0, "0.9": 0.0, "0.99": 0.01, "1": 0.012}
    >>> parity_line(TwinParity(samples=64, unit="logit spread", unit_in_logits=4.1, logit_difference=difference,
    ...                        argmax_agreement=1.0))
    'largest logit difference 0.012 of the logit spread, same class on 64 of 64 samples'
    """
    largest = significant(twin.logit_difference["1"], 2)
    same = round(twin.argmax_agreement * twin.samples)
    return f"largest logit difference {largest} {UNITS[twin.unit]}, same class on {same} of {twin.samples} samples"


def twins(cells: Iterable[Cell]) -> list[tuple[str, str]]:
    """Every twin of a run once: (the network it is of, with its target; its figures).

    A reference is the same for all variants on a target; metrics that checked fewer samples have a line of their own.
    """
    lines: dict[tuple[str, str], None] = {}
    for cell in cells:
        for side, figures in _sides(cell):
            name = "reference" if side == "reference" else plain(cell.variant)
            target_name = plain(cell.target) + (f", replicate {cell.replicate}" if cell.replicate else "")
            lines[f"{name} ({target_name})", parity_line(figures)] = None
    return list(lines)

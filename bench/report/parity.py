"""How far the twin that gave the gradients is from the session that runs, in one line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from bench.results import Cell
from bench.wording import plain, significant

UNITS = {"logit spread": "of the logit spread", "output step": "of the output's step"}


def parity_lines(cell: Cell) -> list[tuple[str, str]]:
    """(``twin of the reference`` or ``twin of the variant``, its figures) for each network whose twin a cell used."""
    found = cell.parity or {}
    return [(f"twin of the {plain(side)}", parity_line(figures)) for side, figures in found.items()]


def parity_line(figures: Any) -> str:
    """What a parity check found, as a sentence.

    >>> parity_line({"samples": 64, "unit": "logit spread", "logit_difference": {"1": 0.012}, "argmax_agreement": 1.0})
    'largest logit difference 0.012 of the logit spread, same class on 64 of 64 samples'
    """
    given = figures if isinstance(figures, Mapping) else {}
    quantiles = given.get("logit_difference")
    largest = quantiles.get("1") if isinstance(quantiles, Mapping) else None
    samples, agreement = given.get("samples"), given.get("argmax_agreement")
    if not _real(largest) or not isinstance(samples, int) or not _real(agreement):
        return "no figures"
    unit = UNITS.get(str(given.get("unit")), plain(given.get("unit", "")))
    same = round(float(agreement) * samples)
    return (
        f"largest logit difference {significant(float(largest), 2)} {unit}, same class on {same} of {samples} samples"
    )


def twins(cells: Iterable[Cell]) -> list[tuple[str, str]]:
    """Every twin of a run once: (the network it is of, with its target; its figures).

    A reference is the same for all variants on a target; metrics that checked fewer samples have a line of their own.
    """
    found: dict[tuple[str, str], None] = {}
    for cell in cells:
        for side, figures in (cell.parity or {}).items():
            name = "reference" if side == "reference" else plain(cell.variant)
            place = plain(cell.target) + (f", replicate {cell.replicate}" if cell.replicate else "")
            found[f"{name} ({place})", parity_line(figures)] = None
    return list(found)


def _real(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)

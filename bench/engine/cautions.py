"""What a reader must know of networks before their figures, in the words of the metrics that found it."""

from __future__ import annotations

from collections.abc import Iterable

from bench.engine.inline import Measured
from bench.suite.plan import PlannedCell


def cautions(cells: Iterable[tuple[PlannedCell, Measured]]) -> list[str]:
    """One line for each caution, with the networks on their targets that it is said of."""
    said: dict[str, list[str]] = {}
    for planned, measured in cells:
        cell = measured.cell
        several = f" (replicate {cell.replicate})" if cell.replicate else ""
        for role, name in (("reference", "the reference"), ("variant", cell.variant)):
            text = planned.use.metric.caution(cell.details.get(role, {}))
            names = said.setdefault(text, [])
            if (whose := f"{name} on {cell.target}{several}") not in names:
                names.append(whose)
    said.pop("", None)
    return [f"{', '.join(names)}: {text}" for text, names in said.items()]

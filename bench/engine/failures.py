"""Faults of single networks, and whose they are, in words."""

from __future__ import annotations

from bench.engine.networks import NetworkFailure
from bench.suite.exporting import EXPORT
from bench.suite.plan import PlannedCell
from bench.suite.planned_networks import chain


class ObservationFailure(Exception):
    """A network could not be observed; says which."""


def in_words(error: NetworkFailure, cell: PlannedCell) -> str:
    """The reason of a network that could not be made; where it is no variant's, whose it is, and how it is exported."""
    yardsticks = [draw[0].network for mark in cell.yardsticks for draw in mark[:1]]
    for role, nodes in {"reference": [cell.original], "yardstick": yardsticks}.items():
        if error.network.key in {node.key for made in nodes for node in chain(made)}:
            step = error.network.step
            if step is None or step.name != EXPORT:
                return f"{role}: {error}"
            options = ", ".join(f"{name} {value}" for name, value in sorted(step.canonical()["parameters"].items()))
            return f"{role} ({options}, as the suite's onnx-export steps agree on or by default): {error}"
    return str(error)

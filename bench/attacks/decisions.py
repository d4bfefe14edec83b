"""What attacks that see the class alone share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.attacks.base import Asked, Found

if TYPE_CHECKING:
    from bench.functional.attacks.decision import Method


def nearest_by_classes(asked: Asked, method: Method, queries: int) -> Found:
    """The nearest inputs of another class that an attack of foolbox found by classes; within epsilon it stops."""
    from bench.functional.attacks.decision import decision_attack

    found = decision_attack(
        asked.scores, asked.x, asked.labels, asked.generators(method, asked.round), method, norm=asked.norm,
        queries=queries, epsilon=asked.epsilon, bounds=asked.bounds,
    )  # fmt: skip
    return Found((found.nearest,), queries=found.queries)

"""What attacks that look for the nearest input share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.attacks.base import Asked, Found

if TYPE_CHECKING:
    import torch

    from bench.functional.attacks.minimum_norm import Method


def nearest_inputs(asked: Asked, method: Method, **options: Any) -> Found:
    """The nearest inputs of another class that an attack of foolbox found by gradients."""
    from bench.functional.attacks.minimum_norm import minimum_norm

    view, generators = asked.gradients, np.array(asked.generators(method), dtype=object)

    def attack(x: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = [generators[row] for row in rows.tolist()]
        return (minimum_norm(view.module, x, labels, own, method, norm=asked.norm, bounds=asked.bounds, **options),)

    (found,) = view.each_batch(attack, asked.x, asked.labels, np.arange(len(asked.x)))
    return Found((found,))

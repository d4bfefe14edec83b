"""What attacks that look for the nearest input share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.attacks.base import Asked, Found

if TYPE_CHECKING:
    import torch

    from bench.functional.attacks.minimum_norm import Method


def nearest_inputs(asked: Asked, method: Method, *, aimed: bool = False, **options: Any) -> Found:
    """The nearest inputs of another class that an attack of foolbox found by gradients.

    ``aimed``: of the wrong class of this round, the nearest first; else of any.
    """
    from bench.functional.attacks.minimum_norm import minimum_norm
    from bench.functional.attacks.target_order import nth_target

    view, generators = asked.gradients, np.array(asked.generators(method), dtype=object)

    def attack(x: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = [generators[row] for row in rows.tolist()]
        targets = nth_target(view.module, x, labels, asked.norm, asked.round) if aimed else None
        found = minimum_norm(
            view.module, x, labels, own, method, norm=asked.norm, bounds=asked.bounds, targets=targets, **options
        )
        return (found,)

    (found,) = view.each_batch(attack, asked.x, asked.labels, np.arange(len(asked.x)))
    return Found((found,))

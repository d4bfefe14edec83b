"""Whether samples lie within the bounds that were declared of a network's input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.runtimes.base import Predictor


def check_bounds(predictor: Predictor, x: NDArray[np.float32]) -> tuple[float, float]:
    """The bounds as float32 holds them; raises ``UserError`` for pixels that lie outside."""
    low, high = (float(np.float32(bound)) for bound in predictor.spec.input.bounds)
    if x.min() < low or x.max() > high:
        raise UserError.at("data", "pixels lie outside the declared bounds", f"values from {low:g} to {high:g}")
    return low, high

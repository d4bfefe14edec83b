"""How fast the logits can change with the input, near the samples."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.functional.named_quantiles import named_quantiles
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Array, Arrays, Bound, BoundFigures, Value
from bench.probes.ball_constants import BallConstants, BallConstantsOptions
from bench.probes.base import Probe
from bench.registry import parameters


def median_bounds(lower: Array, upper: Array) -> BoundFigures:
    """The medians of both sides, between which the median of the constants lies: (n,) each."""
    return BoundFigures(lower=float(np.median(lower)), upper=float(np.median(upper)))


def largest_bounds(lower: Array, upper: Array) -> BoundFigures:
    """The largest of both sides, between which the largest of the constants lies: (n,) each."""
    return BoundFigures(lower=float(lower.max()), upper=float(upper.max()))


@metrics.register("lipschitz.ball")
@parameters
class BallLipschitz(BallConstantsOptions, Metric):
    """The l2 Lipschitz constant of the logits in a ball around each of the first samples, per unit of the user's input.

    ``median_constant``: an interval that holds the median over these samples of ``sup ‖f(x) − f(y)‖ / ‖x − y‖``, x and
    y in the ball: certified bounds by LipLT and the recursion of chains with the slopes that occur there (arXiv
    2310.00116, 2510.05261), from linear relaxations (arXiv 1811.00866), beside the largest difference quotients found.
    ``largest_constant``: the same of the largest. Quantised activations round, and are refused.
    """

    family: ClassVar[Family] = "lipschitz"
    by_default: ClassVar[bool] = False  # seconds a sample, of larger networks
    values: ClassVar[tuple[Value, ...]] = (
        Bound(
            "median_constant", median_bounds, of=("lower", "upper"), evidence="certified", norm="l2->l2",
            domain="balls around samples",
        ),
        Bound(
            "largest_constant", largest_bounds, of=("lower", "upper"), evidence="certified", norm="l2->l2",
            domain="balls around samples",
        ),
    )  # fmt: skip

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Both sides, around each of the first samples."""
        return (BallConstants(radius=self.radius, centres=self.centres, iterations=self.iterations, steps=self.steps),)

    def protocol(self) -> dict[str, Any]:
        """What is bounded."""
        return {**super().protocol(), "output": "logits", "norm": "l2->l2"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of both sides."""
        return {side: named_quantiles(arrays[side], (0.05, 0.5, 0.95, 1)) for side in ("lower", "upper")}

"""How fast the logits can change with the input, anywhere."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Array, Arrays, Bound, BoundFigures, Value
from bench.probes.base import Probe
from bench.probes.lipschitz_bounds import LipschitzBounds, LipschitzBoundsOptions
from bench.registry import parameters


def _figures(lower: Array, upper: Array) -> BoundFigures:
    return BoundFigures(lower=float(lower), upper=float(upper))


@metrics.register("lipschitz.global")
@parameters
class GlobalLipschitz(LipschitzBoundsOptions, Metric):
    """The l2 Lipschitz constant of the logits, over all inputs: an interval that holds it, per unit of the input.

    ``certified``: the least upper bound that is proven, of ``product``, LipLT (arXiv 2310.00116), ECLipsE-Fast (arXiv
    2404.04375) and full-diagonal multipliers (the program of arXiv 1902.04675). Both stand beside the largest
    difference quotient that was found, and so does the ratio variant / reference, which lies between what both prove.
    Quantised activations round: such a network has no finite constant, and is refused; ``lipschitz.scale`` has one.
    """

    family: ClassVar[Family] = "lipschitz"
    values: ClassVar[tuple[Value, ...]] = (
        Bound("certified", _figures, of=("lower", "certified"), evidence="certified", norm="l2->l2", domain="global"),
        Bound("product", _figures, of=("lower", "product"), evidence="certified", norm="l2->l2", domain="global"),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """All bounds at once."""
        return (LipschitzBounds(iterations=self.iterations, steps=self.steps),)

    def protocol(self) -> dict[str, Any]:
        """What is bounded."""
        return {**super().protocol(), "output": "logits", "norm": "l2->l2"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The largest difference quotient; every method's figure and the norms of layers are the probe's own notes."""
        return {"lower": float(arrays["lower"])}

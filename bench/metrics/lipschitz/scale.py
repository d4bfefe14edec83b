"""How fast the logits can change between inputs that are a step apart."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Array, Arrays, Bound, BoundFigures, Value
from bench.probes.base import Probe
from bench.probes.lipschitz_scale import LipschitzScale, LipschitzScaleOptions
from bench.registry import parameters


def _figures(lower: Array, upper: Array) -> BoundFigures:
    return BoundFigures(lower=float(lower), upper=float(upper))


@metrics.register("lipschitz.scale")
@parameters
class ScaleLipschitz(LipschitzScaleOptions, Metric):
    """The l2 constant of the logits between inputs at least r apart, an interval that holds it, per unit of the input.

    ``certified``: ``sup_{‖x − y‖ ≥ r} ‖f(x) − f(y)‖ / ‖x − y‖``. Networks that round their activations have one and no
    constant of ``lipschitz.global``; float networks have one too, never above that, so the two can be compared, and the
    ratio variant / reference lies between what both prove. r is one step of 255 over the input's range by default. The
    smaller r, the more rounding counts: at one step the certified end of a network that rounds is mostly
    ``2 δ / r``, what rounding could do if all of it fell the worst way.
    """

    family: ClassVar[Family] = "lipschitz"
    by_default: ClassVar[bool] = False
    values: ClassVar[tuple[Value, ...]] = (
        Bound(
            "certified", _figures, of=("lower", "certified"), evidence="certified", norm="l2->l2",
            domain="pairs at least a step apart",
        ),
    )  # fmt: skip

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Both ends at once."""
        return (LipschitzScale(step=self.step, iterations=self.iterations, steps=self.steps),)

    def protocol(self) -> dict[str, Any]:
        """What is bounded."""
        return {**super().protocol(), "output": "logits", "norm": "l2->l2"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The largest difference quotient; the surrogate's constant and what rounding adds are notes of the probe."""
        return {"lower": float(arrays["lower"])}

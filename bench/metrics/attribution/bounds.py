"""How far attributions moved, between what the logits prove and what the slopes allow."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.metrics.base import Family, Metric, SampleLimit, metrics
from bench.metrics.values import Arrays, Change, Value
from bench.probes.attribution_bounds import AttributionBounds as AttributionBoundsProbe
from bench.probes.attribution_bounds import AttributionBoundsOptions
from bench.probes.base import Probe
from bench.registry import parameters


def _of(name: str) -> Change:
    return Change(name, None, of=name, power=1, alarm=False)


@metrics.register("attribution.bounds")
@parameters
class AttributionBounds(AttributionBoundsOptions, Metric):
    """Exact change of integrated gradients of piecewise linear networks, with a lower and an upper bound a sample.

    ``|(f − g)(x) − (f − g)(x')| ≤ ‖ΔIG‖₁``: no attribution that adds up can hide a change of the logit.
    ``‖ΔIG‖₂ ≤ ‖x − x'‖_∞ · sup ‖∇(f − g)‖₂`` over the path, all kinks enumerated (arXiv 1908.06214): no attribution
    moves further than the slopes allow. Mean over samples of both bounds and of what lies between, in logits. For float
    and weight-only variants; what rounds activations is refused.
    """

    samples: SampleLimit = 8

    family: ClassVar[Family] = "attribution"
    values: ClassVar[tuple[Value, ...]] = (
        _of("logit_difference"),
        _of("attribution_difference_l1"),
        _of("attribution_difference_l2"),
        _of("slope_bound"),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Both networks together, along every path."""
        return (AttributionBoundsProbe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """What holds of every sample."""
        bounds = "logit_difference <= attribution_difference_l1; attribution_difference_l2 <= slope_bound"
        return {**super().protocol(), "bounds": bounds, "explained": "centred logit of the reference's class"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """How many linear pieces the paths have, and on how many samples a bound fails: none, up to rounding."""
        if "pieces" not in arrays:  # of the reference alone
            return {}
        slack = 1 + 1e-6
        low = arrays["logit_difference"] > slack * arrays["attribution_difference_l1"] + 1e-9
        high = arrays["attribution_difference_l2"] > slack * arrays["slope_bound"] + 1e-9
        return {"pieces": int(np.median(arrays["pieces"])), "violations": int((low | high).sum())}

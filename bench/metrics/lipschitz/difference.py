"""How far can two networks be apart near the samples?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.functional.named_quantiles import named_quantiles
from bench.metrics.base import Family, Metric, SampleLimit, metrics
from bench.metrics.values import Array, Arrays, Bound, BoundFigures, Proportion, Value
from bench.probes.base import Probe
from bench.probes.difference_bounds import DifferenceBounds, DifferenceBoundsOptions
from bench.registry import parameters

OF_L2 = ("lower_l2", "certified_l2")
OF_SCALE = ("lower_scale", "certified_scale")
DOMAIN = "l_inf boxes about samples"


def _means(lower: Array, certified: Array) -> BoundFigures:
    return BoundFigures(float(lower.mean()), float(certified.mean()))


@metrics.register("lipschitz.difference")
@parameters
class LipschitzDifference(DifferenceBoundsOptions, Metric):
    """The largest distance of two networks' logits within ``‖x' − x‖_∞ ≤ epsilon`` of a sample, mean over samples.

    ``largest_difference``: ``sup ‖f(x') − g(x')‖₂`` from above, the least of telescoping, intervals of the difference,
    linear relaxations of the joint network (CROWN, arXiv 1811.00866) and of the difference (NeuroDiff, arXiv
    2009.09943) and, where branches are allowed, mixed-integer programs; ``largest_difference_linf`` likewise of single
    logits. ``found_difference``: what gradient ascent reached, from below. ``scale_constant``: how fast f − g changes
    between points of the box at least epsilon apart, from above ``min(L_f + L_g, 2 D / epsilon)`` with D the certified
    difference. ``certified_class``: share of samples at which the network surely gives, at every point of the box, the
    class that the reference gives to the sample; of the reference itself its own certified share, so its harm is how
    much certainty is lost. In logits. The constant of f − g over all pairs is no measure of how near they are:
    relu(x) − relu(x − e) has the constant 1 for every e above 0.
    """

    samples: SampleLimit = 8

    family: ClassVar[Family] = "lipschitz"
    by_default: ClassVar[bool] = False  # some tenths of a second a sample on small networks, minutes on large ones
    values: ClassVar[tuple[Value, ...]] = (
        Bound("largest_difference", _means, of=OF_L2, evidence="certified", norm="l2", domain=DOMAIN),
        Bound("found_difference", _means, of=OF_L2, evidence="lower", norm="l2", domain=DOMAIN),
        Bound(
            "largest_difference_linf", _means, of=("lower_linf", "certified_linf"), evidence="certified", norm="linf",
            domain=DOMAIN,
        ),
        Bound(
            "scale_constant", _means, of=OF_SCALE, evidence="certified", norm="l2->l2",
            domain="pairs epsilon apart in l_inf boxes about samples",
        ),
        Proportion("certified_class", of="kept", better="higher"),
    )  # fmt: skip

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Both networks together, on the box of every sample."""
        own = ("epsilon", "starts", "steps", "branches")
        return (DifferenceBounds(**{name: getattr(self, name) for name in own}),)

    def protocol(self) -> dict[str, Any]:
        """What is bounded."""
        return {**super().protocol(), "output": "logits", "region": "l_inf box within the input's bounds"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the certified distances, and how often each method gave the least."""
        if "by_method" not in arrays:
            return {}
        least = arrays["by_method"].argmin(axis=1)
        own = ("jacobian_difference",) if "jacobian_difference" in arrays else ()
        return {
            **{name: named_quantiles(arrays[name], (0.05, 0.5, 0.95, 1)) for name in own},
            "quantiles": named_quantiles(arrays["certified_l2"], (0.05, 0.5, 0.95, 1)),
            "least_by_method": np.bincount(least, minlength=arrays["by_method"].shape[1]).tolist(),
        }

"""Do two networks predict the same?"""

from __future__ import annotations

from typing import Any, ClassVar

from bench.functional.divergences import LARGEST_DIVERGENCE, centred, flips, jensen_shannon, relative_difference
from bench.functional.predictions import top_probability
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import Arrays, Change, Derived, Value
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.registry import parameters


@metrics.register("fidelity.predictions")
@parameters
class Predictions(Metric):
    """Predictions of two networks on the same samples: classes, probabilities, centred logits.

    ``flip_rate``: share of samples whose arg max differs (ties go to the first class). ``js``: Jensen-Shannon
    divergence of the class probabilities, nats, at most log 2. ``logit_relative_error``: ‖z_f − z_g‖ over the mean of
    ‖z_f‖ and ‖z_g‖, logits centred per sample; from 0 to 2, and 0 where both are zero. Members of an ensemble are
    combined by their mean probability; the logarithm of a probability is a logit.
    """

    family: ClassVar[Family] = "fidelity"
    headline: ClassVar[str | None] = "js"
    probes: ClassVar[tuple[Probe, ...]] = (Logits(),)
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("centred_logits", centred, of="log_probabilities"),
        Derived("confidence", top_probability, of="log_probabilities"),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Change("flip_rate", flips, of="log_probabilities", power=1, unit="proportion", count=True, largest=1.0),
        Change("js", jensen_shannon, of="log_probabilities", power=2, unit="nats", largest=LARGEST_DIVERGENCE),
        Change("logit_relative_error", relative_difference, of="centred_logits", power=1, largest=2.0),
    )

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The mean top probability."""
        return {"mean_confidence": float(arrays["confidence"].mean())}

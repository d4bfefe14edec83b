"""Do two networks predict the same?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

from bench.functional.divergences import LARGEST_DIVERGENCE, centred, flips, jensen_shannon, relative_difference, sure
from bench.functional.predictions import top_probability
from bench.functional.temperature import at_own_temperature, temperatures
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import IDS, LABELS, Arrays, Change, Derived, Value, of_reference, with_tail
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.registry import parameters

FLIPS: Final = Change("flip_rate", flips, of="log_probabilities", power=1, unit="proportion", count=True, largest=1.0)


@metrics.register("fidelity.predictions")
@parameters
class Predictions(Metric):
    """Predictions of two networks on the same samples: classes, probabilities, centred logits.

    ``flip_rate``: share of samples whose arg max differs (ties go to the first class). ``js``: Jensen-Shannon
    divergence of the class probabilities, nats, at most log 2. ``logit_relative_error``: ‖z_f − z_g‖ over the mean of
    ‖z_f‖ and ‖z_g‖, logits centred per sample; from 0 to 2, and 0 where both are zero. ``..._worst_5``: the mean of the
    5 % of samples where they differ most. ``flip_rate_when_sure``: flips among the samples to whose class the reference
    gives at least .9. ``flip_rate_worst_class``: the largest rate over labels with ten samples or more.
    ``js_tempered``: after each network's own temperature, which each half of the samples takes from the other half:
    fidelity apart from calibration. It is null without labels, and where no temperature fits since in one half of the
    samples all answers are right. Members of an ensemble are combined by their mean probability; the logarithm of a
    probability is a logit.
    """

    family: ClassVar[Family] = "fidelity"
    headline: ClassVar[str | None] = "js"
    probes: ClassVar[tuple[Probe, ...]] = (Logits(),)
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("centred_logits", centred, of="log_probabilities"),
        Derived("confidence", top_probability, of="log_probabilities"),
        Derived("sure", sure, of="log_probabilities"),
        Derived("temperatures", temperatures, of=("log_probabilities", LABELS, IDS), rows=False),
        Derived("tempered", at_own_temperature, of=("log_probabilities", "temperatures", IDS), rows=False),
    )
    values: ClassVar[tuple[Value, ...]] = (
        FLIPS,
        replace(FLIPS, name="flip_rate_when_sure", where=of_reference("sure"), alarm=False),
        replace(FLIPS, name="flip_rate_worst_class", summary="worst class", by=LABELS, alarm=False),
        *with_tail(
            Change("js", jensen_shannon, of="log_probabilities", power=2, unit="nats", largest=LARGEST_DIVERGENCE)
        ),
        Change(
            "js_tempered",
            jensen_shannon,
            of="tempered",
            power=2,
            unit="nats",
            largest=LARGEST_DIVERGENCE,
            alarm=False,
        ),
        *with_tail(Change("logit_relative_error", relative_difference, of="centred_logits", power=1, largest=2.0)),
    )

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The mean top probability and, with labels, the temperatures of both halves of the samples."""
        details: dict[str, Any] = {"mean_confidence": float(arrays["confidence"].mean())}
        return details | ({"temperatures": arrays["temperatures"].tolist()} if "temperatures" in arrays else {})

"""Do two networks predict the same?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.functional.divergences import LARGEST_DIVERGENCE, centred, flips, jensen_shannon, relative_difference
from bench.metrics.base import Arrays, Change, Family, Float, Metric, Observing, Value, metrics
from bench.metrics.evaluation import log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor


def _flips(a: Arrays, b: Arrays) -> Float:
    return flips(a["log_probabilities"], b["log_probabilities"])


def _jensen_shannon(a: Arrays, b: Arrays) -> Float:
    return jensen_shannon(a["log_probabilities"], b["log_probabilities"])


def _logit_relative_error(a: Arrays, b: Arrays) -> Float:
    return relative_difference(centred(a["log_probabilities"]), centred(b["log_probabilities"]))


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
    values: ClassVar[tuple[Value, ...]] = (
        Change("flip_rate", _flips, power=1, unit="proportion", count=True, largest=1.0),
        Change("js", _jensen_shannon, power=2, unit="nats", largest=LARGEST_DIVERGENCE),
        Change("logit_relative_error", _logit_relative_error, power=1, largest=2.0),
    )

    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """``log_probabilities`` (n, classes), float64."""
        return {"log_probabilities": log_probabilities(predictor, samples.x)}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The mean top probability."""
        return {"mean_confidence": float(np.exp(arrays["log_probabilities"].max(axis=1)).mean())}

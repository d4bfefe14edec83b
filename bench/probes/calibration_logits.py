"""The class probabilities of a network on the calibration split, by which thresholds are found."""

from __future__ import annotations

from typing import ClassVar

from bench.data.base import CALIBRATION, Samples
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.logits import log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor


@probes.register("calibration-logits")
@parameters
class CalibrationLogits(Probe):
    """One forward pass over the calibration split: ``calibration_log_probabilities`` (m, classes) float64, nats.

    Labels and ids of the same samples are ``labels_on("calibration")`` and ``ids_on("calibration")``.
    """

    arrays: ClassVar[tuple[str, ...]] = ("calibration_log_probabilities",)

    @property
    def asked_on(self) -> str:
        """The calibration split."""
        return CALIBRATION

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """The log-probabilities, and nothing that labels add."""
        return Observation({"calibration_log_probabilities": log_probabilities(predictor, samples.x)})

"""How much of a change does one number repair?"""

from __future__ import annotations

from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.functional.calibration import negative_log_likelihood
from bench.functional.temperature import HIGHEST, LOWEST, at_own_temperature, temperatures
from bench.metrics.base import Family, Metric, metrics
from bench.metrics.values import IDS, LABELS, Arrays, Derived, Mean, Statistic, Value, of_reference
from bench.probes.base import Probe
from bench.probes.logits import Logits
from bench.registry import parameters

FITTED = "fitted, not averaged over samples: its spread over resamples is not found"


def geometric_mean(own: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """The geometric mean of both halves' temperatures (2,), the same under every row of weights (B, n): (B,).

    >>> geometric_mean(np.array([1.0, 4.0]), np.ones((1, 5))).tolist()
    [2.0]
    """
    return np.full(len(weights), float(np.exp(np.log(own).mean())))


def log_ratio(own: NDArray[Any], reference: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of log(T / T of the reference) over both halves (2,), the same under every row of weights (B, n): (B,).

    >>> log_ratio(np.array([1.0, np.e]), np.array([1.0, 1.0]), np.ones((1, 5))).tolist()
    [0.5]
    """
    return np.full(len(weights), float(np.log(own / reference).mean()))


@metrics.register("uncertainty.temperature")
@parameters
class Temperature(Metric):
    """What is left of a calibration harm when each network has its own temperature (arXiv 1706.04599).

    ``temperature``: of the network, the geometric mean of those of both halves of the samples; above 1 it is too sure.
    ``log_temperature_ratio``: the mean over both halves of log(T / T of the reference); above 0 it became surer than
    its errors allow, beside the reference.
    ``calibrated_nll``: mean −log softmax(log p / T)(label), nats, each half at the temperature that the other half
    fits: no sample is judged at what it helped to fit. Its interval is conditional on the fitted temperatures, and it
    is null where none fits one half. What one temperature does not repair is another function. Members of an ensemble
    are first combined by their mean probability.
    """

    family: ClassVar[Family] = "uncertainty"
    version: ClassVar[int] = 2  # null where no temperature fits
    labelled: ClassVar[bool] = True
    probes: ClassVar[tuple[Probe, ...]] = (Logits(),)
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("temperatures", temperatures, of=("log_probabilities", LABELS, IDS), rows=False),
        Derived("tempered", at_own_temperature, of=("log_probabilities", "temperatures", IDS), rows=False),
        Derived("calibrated_nll", negative_log_likelihood, of=("tempered", LABELS)),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Mean("calibrated_nll", of="calibrated_nll", better="lower", unit="nats"),
        Statistic("temperature", geometric_mean, of="temperatures", better="none", no_interval=FITTED),
        Statistic(
            "log_temperature_ratio",
            log_ratio,
            of=("temperatures", of_reference("temperatures")),
            better="none",
            largest=log(HIGHEST / LOWEST),
            no_interval=FITTED,
        ),
    )

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """The temperature of each half, and whether one stands at the end of what is looked at."""
        own = arrays["temperatures"]
        told: dict[str, Any] = {"temperatures": own.tolist()}
        if (own <= LOWEST).any() or (own >= HIGHEST).any():
            told["no_fit"] = "in one half every answer is right, or none is better than a guess: T stands at its limit"
        return told

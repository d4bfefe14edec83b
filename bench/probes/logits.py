"""The class probabilities of a network, on which most metrics stand."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.functional.batches import fixed_batches
from bench.functional.divergences import log_mean_probabilities
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.batching import batch_size
from bench.registry import parameters
from bench.runtimes.base import Predictor


def member_logits(predictor: Predictor, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logits (members, n, classes) of x (n, ...) in the user's bounds, in batches of one size."""
    import torch

    parts = []
    for batch in fixed_batches(len(x), batch_size(predictor)):
        logits = predictor.logits(torch.from_numpy(x[batch.rows]))
        parts.append(logits[:, : batch.wanted].numpy())
    return np.concatenate(parts, axis=1)


def log_probabilities(predictor: Predictor, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-probabilities (n, classes), float64, of x (n, ...) in the user's bounds, the members made one.

    By their mean probability, or where the network declares it by their mean logit.
    """
    logits = member_logits(predictor, x)
    if predictor.spec.input.combine == "mean_logit":
        logits = logits.mean(axis=0, keepdims=True, dtype=np.float64)
    return log_mean_probabilities(logits)


@probes.register("logits")
@parameters
class Logits(Probe):
    """One forward pass: ``log_probabilities`` (n, classes) float64, nats; a logarithm of a probability is a logit.

    Members of an ensemble are combined as the network declares, by default by their mean probability.
    """

    arrays: ClassVar[tuple[str, ...]] = ("log_probabilities",)

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """The log-probabilities, and nothing that labels add."""
        return Observation({"log_probabilities": log_probabilities(predictor, samples.x)})

"""What log-probabilities leave out of logits: their largest value, and their log-partition."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.logits import member_logits
from bench.registry import parameters
from bench.runtimes.base import Predictor


def logit_scale(predictor: Predictor, x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest logit and ``log Σ exp z`` of x (n, ...), (n,) each, float64, means over members.

    Raises:
        NotApplicable: the network answers probabilities, which know logits up to a shift alone.
    """
    if predictor.spec.input.output == "probabilities":
        raise NotApplicable("the network answers probabilities: its logits are known up to a shift alone")
    z = member_logits(predictor, x).astype(np.float64)
    top = z.max(axis=2)
    partition = top + np.log(np.exp(z - top[:, :, None]).sum(axis=2))
    return top.mean(axis=0), partition.mean(axis=0)


@probes.register("logit-scale")
@parameters
class LogitScale(Probe):
    """``max_logit`` (n,) and ``log_partition`` (n,) = log Σ_c exp z_c, means over members; float64.

    Both move with a shift common to all classes of a sample, which no probability shows.
    """

    arrays: ClassVar[tuple[str, ...]] = ("max_logit", "log_partition")

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Both figures of every sample."""
        return Observation(dict(zip(self.arrays, logit_scale(predictor, samples.x), strict=True)))

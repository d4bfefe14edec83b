"""The probe of latencies: the reference and another network take one image a call, in turn."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.probes.base import Context, Observation, PairProbe, probes
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch

IMAGES = 64  # shown in turn


def latencies(
    predictors: Sequence[Predictor], images: list[torch.Tensor], warmup: int, rounds: int
) -> NDArray[np.float64]:
    """Milliseconds a call, batch 1, (predictors, rounds); garbage collection waits until the end.

    Each round shows one image to every predictor in turn, in another order each time: whatever else the machine does
    slows all of them alike. Each is run as it was shipped, with its final Softmax.
    """
    predictors = [predictor.as_shipped() for predictor in predictors]
    for index in range(warmup):
        for predictor in predictors:
            predictor.logits(images[index % len(images)])
    collecting = gc.isenabled()
    gc.disable()
    try:
        taken = np.empty((len(predictors), rounds))
        for index in range(rounds):
            image = images[index % len(images)]
            for turn in range(len(predictors)):
                position = (turn + index) % len(predictors)
                started = time.perf_counter_ns()
                predictors[position].logits(image)
                taken[position, index] = time.perf_counter_ns() - started
    finally:
        if collecting:
            gc.enable()
    return taken / 1e6


@probes.register("latency")
@parameters
class Latency(PairProbe):
    """Milliseconds a call from pixels to logits, preprocessing included, on the target's threads.

    ``latencies`` of the network and ``reference_latencies``, (rounds,) each, taken in turn, so that their ratio holds
    on a busy machine. What is simulated has none.
    """

    warmup: Annotated[int, Field(ge=0, description="calls before timing starts")] = 10
    rounds: Annotated[int, Field(ge=1, description="timed calls")] = 100

    arrays: ClassVar[tuple[str, ...]] = ("latencies", "reference_latencies")
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "set"
    timing: ClassVar[bool] = True

    def ask_pair(self, reference: Predictor, variant: Predictor, samples: Samples, context: Context) -> Observation:
        """Time rounds of both networks."""
        import torch

        if reference.spec.simulated or variant.spec.simulated:
            raise NotApplicable("what is simulated has no latency")
        images = [torch.from_numpy(samples.x[i : i + 1].copy()) for i in range(min(len(samples), IMAGES))]
        taken = latencies([variant, reference], images, self.warmup, self.rounds)
        low, high = np.quantile(taken[0], (0.25, 0.75))
        notes = {"latency_quartiles": [float(low), float(high)]}
        return Observation({"latencies": taken[0], "reference_latencies": taken[1]}, notes)

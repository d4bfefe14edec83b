"""The input Jacobian of a network at the samples."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.data.base import Samples
from bench.errors import NotApplicable, TooManySamples
from bench.functional.jacobian import input_jacobian
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.gradient_view import dead_gradients, gradient_view
from bench.registry import parameters
from bench.runtimes.base import Predictor

MATRIX_LIMIT = 512 * 2**20  # bytes of one sample's matrix: some of them are in memory together
DISK_LIMIT = 8 * 2**30  # bytes that all matrices of one network take in the store, or in a temporary file


@probes.register("jacobian")
@parameters
class Jacobian(Probe):
    """``J_ci = ∂(z_c − mean_k z_k) / ∂x_i`` at every sample: ``jacobian`` (n, classes, inputs) float32.

    Per unit of the user's input. A network with quantisers is differentiated straight through them.
    """

    arrays: ClassVar[tuple[str, ...]] = ("jacobian",)
    gradients: ClassVar[bool] = True

    def entries(self, inputs: int, classes: int) -> int:
        """The number of entries of one sample: those of a matrix."""
        return inputs * classes

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Differentiate the logits at every sample: ``jacobian``, (n, classes, inputs)."""
        declared = predictor.spec.input
        count = context.count or len(samples)
        matrix = 4 * self.entries(int(np.prod(declared.shape)), len(declared.classes))
        if matrix > MATRIX_LIMIT:
            limit = f"more than the {MATRIX_LIMIT / 2**20:.0f} MiB that are computed at a time"
            advice = "the inputs are too large for this metric"
            raise NotApplicable(f"one sample's Jacobian needs {matrix / 2**20:.0f} MiB of memory, {limit}; {advice}")
        if count * matrix > DISK_LIMIT:
            limit = f"more than the {DISK_LIMIT / 2**20:.0f} MiB that this metric keeps"
            advice = f"set samples to {DISK_LIMIT // matrix} or less"
            raise TooManySamples(f"the Jacobians need {count * matrix / 2**20:.0f} MiB of disk, {limit}; {advice}")
        with gradient_view(predictor, context) as view:
            if not view.alive:
                return view.nothing()
            (jacobian,) = view.each_batch(lambda x: (input_jacobian(view.module, x).float(),), samples.x)
        if not np.isfinite(jacobian).all():
            raise FloatingPointError("the network gives NaN or infinite gradients")
        return Observation({"jacobian": jacobian}, view.notes())

    def invalid(self, observation: Observation) -> str | None:
        """The reason why no gradient is alive; None where some are."""
        return dead_gradients(observation)

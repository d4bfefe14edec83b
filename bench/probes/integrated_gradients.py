"""Integrated gradients of a network for the classes of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from bench.data.base import Samples
from bench.errors import UserError
from bench.functional.integrated_gradients import completeness_error, integrated_gradients
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.gradient_view import dead_gradients, gradient_view
from bench.probes.logits import Logits
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch


@probes.register("integrated-gradients")
@parameters
class IntegratedGradients(Probe):
    """Integrated gradients (arXiv 1703.01365) of the centred logit of the reference's class, by Gauss-Legendre.

    Every network is asked for the same class at the same nodes.
    """

    steps: Annotated[int, Field(ge=1, description="Gauss-Legendre nodes from the baseline to the image")] = 50
    baseline: Annotated[
        float | None, Field(description="value of every pixel of the baseline; the lower bound by default")
    ] = None

    arrays: ClassVar[tuple[str, ...]] = ("attribution", "completeness_error")
    gradients: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Probe, ...]:
        """The logits, since maps explain the reference's classes."""
        return (Logits(),)

    def entries(self, inputs: int, classes: int) -> int:
        """The number of entries of one sample: those of a map."""
        return inputs

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """``attribution`` (n, channels, height, width) float64 and ``completeness_error`` (n,)."""
        import torch

        explained = np.asarray(context.needed("logits")["log_probabilities"].argmax(axis=1), dtype=np.int64)
        assert len(explained) == len(samples)
        low, high = predictor.spec.input.bounds
        level = low if self.baseline is None else self.baseline
        if not low <= level <= high:
            raise UserError.at("attribution.ig.baseline", f"{level} is out of bounds", f"give {low} to {high}")

        with gradient_view(predictor, context) as view:
            if not view.alive:
                return view.nothing()

            def attribute(x: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
                return integrated_gradients(view.module, x, torch.full_like(x, level), target, self.steps)

            maps, change = view.each_batch(attribute, samples.x, explained)
        if not np.isfinite(maps).all():
            raise FloatingPointError("the network gives NaN or infinite gradients")
        arrays = {"attribution": maps, "completeness_error": completeness_error(maps, change)}
        return Observation(arrays, view.notes())

    def invalid(self, observation: Observation) -> str | None:
        """The reason why no gradient is alive; None where some are."""
        return dead_gradients(observation)

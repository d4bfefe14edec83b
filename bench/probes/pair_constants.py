"""How fast the difference of two logits can change, for each pair."""

from __future__ import annotations

from typing import ClassVar, Literal

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.gradient_view import gradient_view
from bench.registry import parameters
from bench.runtimes.base import Predictor


@probes.register("pair-constants")
@parameters
class PairConstants(Probe):
    """``pair_constants`` (classes, classes): certified l2 constants of ``z_i − z_j``, per unit of the user's input."""

    arrays: ClassVar[tuple[str, ...]] = ("pair_constants",)
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "set"
    gradients: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """By LipLT with the rows of the last maps."""
        import torch

        from bench.canonical_form.trace import canonical_form
        from bench.functional.lipschitz.graph_bounds.margins import pair_constants

        if predictor.spec.members > 1:
            raise NotApplicable("of the mean of several members' probabilities no pair of logits is bounded")
        with gradient_view(predictor, context) as view:
            constants = pair_constants(canonical_form(view.module, torch.from_numpy(samples.x[:64])))
        return Observation({"pair_constants": constants})

"""How fast the difference of two logits can change, for each pair."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

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

    iterations: Annotated[
        int, Field(ge=0, description="of the multipliers of a chain of dense layers; 0: ECLipsE-Fast alone")
    ] = 200

    version: ClassVar[int] = 2
    arrays: ClassVar[tuple[str, ...]] = ("pair_constants",)
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "set"
    gradients: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """By LipLT with the rows of the last maps, and the multipliers of a chain of dense layers."""
        import torch

        from bench.canonical_form.trace import canonical_form
        from bench.functional.lipschitz.graph_bounds.margins import pair_constants

        if predictor.spec.members > 1:
            raise NotApplicable("of the mean of several members' probabilities no pair of logits is bounded")
        with gradient_view(predictor, context) as view:
            graph = canonical_form(view.module, torch.from_numpy(samples.x[:64]))
            constants = pair_constants(graph, self.iterations)
        return Observation({"pair_constants": constants})

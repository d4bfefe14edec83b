"""Bounds of a network's Lipschitz constant near samples, from both sides."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.gradient_view import gradient_view
from bench.registry import parameters
from bench.runtimes.base import Predictor


@parameters
class BallConstantsOptions:
    """How large the balls are, and about how many samples."""

    radius: Annotated[float, Field(gt=0, description="of the balls, l2, in the units of the user's input")] = 0.1
    centres: Annotated[int, Field(ge=1, description="samples about which balls are bounded, the first ones")] = 16
    iterations: Annotated[int, Field(ge=0, description="of the multipliers of a chain of dense layers; 0: none")] = 60
    steps: Annotated[int, Field(ge=0, description="of the ascent of difference quotients; 0: Jacobians alone")] = 20


@probes.register("ball-constants")
@parameters
class BallConstants(BallConstantsOptions, Probe):
    """Of the logits, in l2, between inputs within a radius of a sample: ``upper`` and ``lower``, (centres,) each.

    ``upper`` is the least of local LipLT, the interval Jacobian, the product of norms everywhere and, of chains of
    dense layers, the recursion with local slopes; slopes come from linear relaxations. ``lower`` is the largest
    Jacobian or difference quotient found within the ball. Per unit of the user's input; refused where a layer has no
    bound, such as what rounds activations.
    """

    arrays: ClassVar[tuple[str, ...]] = ("upper", "lower")
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "set"
    gradients: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Bounds around the first samples, on the network's canonical form."""
        import torch

        from bench.canonical_form.trace import canonical_form
        from bench.functional.lipschitz.graph_bounds.local_constants import local_constants

        if predictor.spec.members > 1:
            raise NotApplicable("the mean of several members' probabilities has no logits to bound")
        with gradient_view(predictor, context) as view:
            graph = canonical_form(view.module, torch.from_numpy(samples.x[:64]))
            found = local_constants(
                graph, samples.x[: self.centres], self.radius, iterations=self.iterations, steps=self.steps
            )
        notes: dict[str, Any] = {"certified_by": dict(Counter(found.methods))}
        return Observation({"upper": np.asarray(found.upper), "lower": np.asarray(found.lower)}, notes)

"""Bounds of a network's Lipschitz constant from both sides."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bench.data.base import Samples
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.gradient_view import gradient_view
from bench.registry import parameters
from bench.runtimes.base import Predictor

STARTS = 16  # samples at which difference quotients begin to climb


@parameters
class LipschitzBoundsOptions:
    """How long is looked for."""

    iterations: Annotated[
        int, Field(ge=0, description="of the multipliers of a chain of dense layers; 0: ECLipsE-Fast alone")
    ] = 200
    steps: Annotated[int, Field(ge=0, description="of the ascent of difference quotients")] = 100


@probes.register("lipschitz-bounds")
@parameters
class LipschitzBounds(LipschitzBoundsOptions, Probe):
    """Of the logits, in l2, per unit of the user's input: ``product``, ``certified`` and ``lower``, a number each.

    ``certified`` is the least of the product, LipLT and, of chains of up to 2,048 neurons a layer, ECLipsE-Fast and
    full-diagonal multipliers; ``lower`` the largest Jacobian at the samples, or difference quotient found from 16 of
    them. Refused where a layer has no bound, such as what rounds activations.
    """

    arrays: ClassVar[tuple[str, ...]] = ("product", "certified", "lower")
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "set"
    gradients: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """All bounds of the network's canonical form."""
        import torch

        from bench.canonical_form.trace import canonical_form
        from bench.functional.lipschitz.certificate import enclosing
        from bench.functional.lipschitz.graph_bounds.everywhere import certified_everywhere
        from bench.functional.lipschitz.graph_bounds.lower import jacobian_lower, secant_lower

        with gradient_view(predictor, context) as view:
            graph = canonical_form(view.module, torch.from_numpy(samples.x[:64]))
            certified = certified_everywhere(graph, self.iterations)
            lower = [
                jacobian_lower(graph, samples.x),
                secant_lower(graph, samples.x[:STARTS], steps=self.steps, budget=np.inf),
            ]
        most, least = enclosing([*certified, *lower])
        assert most is not None
        assert least is not None
        figures = {"product": certified[0].value, "certified": least.value, "lower": most.value}
        notes: dict[str, Any] = {
            "certified_by": least.method,
            "lower_by": most.method,
            "methods": {bound.method: bound.value for bound in (*certified, *lower)},
            "layers": {layer.layer: [layer.upper, layer.rule] for layer in certified[0].layers},
            "slack": least.slack,
            "note": least.note,
        }
        return Observation({name: np.array(value) for name, value in figures.items()}, notes)

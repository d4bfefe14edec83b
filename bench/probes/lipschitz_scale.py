"""How fast a network's answer changes between inputs that are a step apart, whether it rounds or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.gradient_view import gradient_view
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    from bench.canonical_form.graph import Graph
    from bench.functional.lipschitz.certificate import LipschitzBound
    from bench.functional.lipschitz.quantised_bounds.scale_secants import Outputs
    from bench.runtimes.onnx_predictor import OnnxPredictor

STARTS = 16  # samples at which difference quotients begin to climb


@parameters
class LipschitzScaleOptions:
    """How far apart inputs are, and how long is looked for."""

    step: Annotated[float, Field(gt=0, description="least l2 distance of a pair, as a share of the input's range")] = (
        1 / 255
    )
    iterations: Annotated[
        int, Field(ge=0, description="of the multipliers of a chain of dense layers; 0: ECLipsE-Fast alone")
    ] = 200
    steps: Annotated[int, Field(ge=0, description="of the ascent of difference quotients")] = 60


@probes.register("lipschitz-scale")
@parameters
class LipschitzScale(LipschitzScaleOptions, Probe):
    """``certified`` and ``lower``: both ends of ``sup_{‖x − y‖ ≥ r} ‖f(x) − f(y)‖ / ‖x − y‖`` of the logits, in l2.

    ``r`` is the step times the range of the input. A network that rounds has ``L~ + 2 δ / r`` at most: L~ the least
    bound of its surrogate, without rounding, δ how far rounding can take it from that. From below, difference quotients
    of pairs that far apart, of the network as it runs. Refused where a layer has no bound, and where sums of 8-bit
    products saturate: what they lose is no rounding.
    """

    arrays: ClassVar[tuple[str, ...]] = ("certified", "lower")
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "set"
    gradients: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Both ends at the scale."""
        import torch

        from bench.canonical_form.trace import canonical_form
        from bench.functional.lipschitz.certificate import enclosing
        from bench.functional.lipschitz.quantised_bounds.at_scales import at_scales

        refuse_saturating(predictor)
        low, high = predictor.spec.input.bounds
        r = self.step * (high - low)
        with gradient_view(predictor, context) as view:
            graph = canonical_form(view.module, torch.from_numpy(samples.x[:64]), rounding="keep")
            constant, rounded, methods = self._constant(graph)
            found = at_scales(
                graph, constant, rounded, [r], samples.x[:STARTS], outputs_of(predictor), self.steps, budget=np.inf
            )
        lower, certified = enclosing(found, scale=r)
        assert lower is not None
        assert certified is not None
        notes: dict[str, Any] = {
            "r": r,
            "rounds": bool(rounded.shares),
            "constant": constant.value,
            "constant_by": constant.method,
            "rounding_error": rounded.value,
            "quantisers": {share.layer: [share.value, share.rule] for share in rounded.shares},
            "methods": methods,
            "note": certified.note,
            "answers": lower.note,
        }
        return Observation({"certified": np.array(certified.value), "lower": np.array(lower.value)}, notes)

    def _constant(self, graph: Graph) -> tuple[LipschitzBound, Any, dict[str, float]]:
        """The least bound of the surrogate, or of the network itself, δ, and what every method says."""
        from bench.functional.lipschitz.graph_bounds.everywhere import certified_everywhere
        from bench.functional.lipschitz.graph_bounds.liplt import solve
        from bench.functional.lipschitz.quantised_bounds.at_scales import of_surrogate
        from bench.functional.lipschitz.quantised_bounds.rounding_error import rounding_error
        from bench.functional.lipschitz.quantised_bounds.surrogate_network import surrogate_network

        smooth = surrogate_network(graph)
        solved = solve(smooth.graph)
        found = certified_everywhere(smooth.graph, self.iterations, solved)
        found = [of_surrogate(bound) for bound in found] if smooth.places else found
        rounded = rounding_error(graph, "l2", smooth, solved, iterations=self.iterations)
        methods = {bound.method: bound.value for bound in found}
        return min(found, key=lambda bound: bound.value), rounded, methods


def refuse_saturating(predictor: Predictor) -> None:
    """``NotApplicable`` where sums of 8-bit products saturate: bounds are of exact ones."""
    if predictor.spec.integer_sums != "saturating":
        return
    from bench.runtimes.saturation import layers_that_can_saturate

    running: OnnxPredictor = predictor  # type: ignore[assignment]  # no other has such sums
    if layers := layers_that_can_saturate(running.network, predictor.spec.target):
        what = f"{layers[0]['name']}: its sums of 8-bit products can saturate here, and bounds are of exact ones"
        raise NotApplicable(f'{what}; a target with integer_sums = "exact" has them')


def outputs_of(predictor: Predictor) -> Outputs | None:
    """The network's logits as it runs; None where they are not those of its canonical form, or inputs are whole."""
    if predictor.spec.members > 1 or predictor.spec.input.dtype == "uint8":
        return None

    def outputs(x: NDArray[np.float32]) -> NDArray[Any]:
        import torch

        return predictor.logits(torch.from_numpy(np.ascontiguousarray(x)))[0].numpy()

    return outputs

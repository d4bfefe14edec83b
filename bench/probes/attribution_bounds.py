"""Both networks together along the paths of integrated gradients, piece by piece."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from bench.data.base import Samples
from bench.probes.attribution import classes_of_reference
from bench.probes.base import Context, Observation, PairProbe, Probe, probes
from bench.probes.baseline import BaselineOption
from bench.probes.gradient_view import dead_gradients, gradient_view
from bench.probes.logits import Logits
from bench.registry import parameters
from bench.runtimes.base import Predictor

METRIC: Final = "attribution.bounds"


@parameters
class AttributionBoundsOptions(BaselineOption):
    """The paths, and how many linear pieces they may have."""

    most_pieces: Annotated[int, Field(ge=1, description="linear pieces of one path at most")] = 10_000


@probes.register("attribution-bounds")
@parameters
class AttributionBounds(AttributionBoundsOptions, PairProbe):
    """Exact integrated gradients of the difference h = f − g of two piecewise linear networks, and their bounds.

    Of the centred logit of the reference's class. (n,) each: ``logit_difference`` |h(x) − h(x')|,
    ``attribution_difference_l1`` ‖ΔIG‖₁ and ``attribution_difference_l2`` ‖ΔIG‖₂, ``slope_bound``
    ‖x − x'‖_∞ · sup ‖∇h‖₂ over the path, and the number of linear ``pieces``.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "logit_difference",
        "attribution_difference_l1",
        "attribution_difference_l2",
        "slope_bound",
        "pieces",
    )
    gradients: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Probe, ...]:
        """The logits, since maps explain the reference's classes."""
        return (Logits(),)

    def ask_pair(self, reference: Predictor, variant: Predictor, samples: Samples, context: Context) -> Observation:
        """Walk along every path in float64."""
        import torch

        from bench.functional.linear_pieces import difference_along_segments

        level = self.level(reference, METRIC)
        x, target = torch.from_numpy(samples.x).double(), torch.from_numpy(classes_of_reference(context))
        with (
            gradient_view(_in_float64(reference), context) as first,
            gradient_view(_in_float64(variant), context) as second,
        ):
            for view in (first, second):
                if not view.alive:
                    return view.nothing()
            found = difference_along_segments(
                first.module, second.module, x, torch.full_like(x, level), target, self.most_pieces
            )
        flat = found.attribution.flatten(1)
        reach = (x - level).abs().flatten(1).max(dim=1).values
        answers = {
            "logit_difference": found.change.abs(),
            "attribution_difference_l1": flat.abs().sum(dim=1),
            "attribution_difference_l2": flat.norm(dim=1),
            "slope_bound": reach * found.steepest,
            "pieces": found.pieces,
        }
        return Observation({name: tensor.detach().numpy() for name, tensor in answers.items()}, {})

    def invalid(self, observation: Observation) -> str | None:
        """The reason why no gradient is alive; None where some are."""
        return dead_gradients(observation)


def _in_float64(predictor: Predictor) -> Predictor:
    """The same network in float64, as for the numerical floor, on the target's own threads."""
    from bench.runtimes.opening import open_predictor

    wide = open_predictor(predictor.network, predictor.spec.target, floor=True)
    wide.threads = predictor.spec.target.threads
    return wide

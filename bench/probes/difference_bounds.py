"""How far the reference and another network can be apart around the samples, from both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.probes.attribution import classes_of_reference
from bench.probes.base import Context, Observation, PairProbe, Probe, probes
from bench.probes.gradient_view import gradient_view
from bench.probes.input_bounds import check_bounds
from bench.probes.logits import Logits
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    from bench.canonical_form.graph import Graph
    from bench.functional.lipschitz.difference.upper_bounds import OnRegion, Pair


@parameters
class DifferenceBoundsOptions:
    """The region around each sample, and how long is looked for."""

    epsilon: Annotated[
        float, Field(gt=0, description="half width of the box around each sample, in the user's units")
    ] = 0.01
    starts: Annotated[int, Field(ge=1, description="points from which the distance climbs")] = 4
    steps: Annotated[int, Field(ge=0, description="of each climb")] = 20
    branches: Annotated[
        int, Field(ge=0, description="of each mixed-integer program, of networks with few ReLUs; 0: none is asked")
    ] = 0


@probes.register("difference-bounds")
@parameters
class DifferenceBounds(DifferenceBoundsOptions, PairProbe):
    """Of ``sup ‖f − g‖`` of the logits over a box around each sample, within the input's bounds: (n,) each.

    ``lower_l2`` and ``lower_linf`` by ascent, ``certified_l2`` and ``certified_linf`` the least of all methods;
    ``by_method`` (n, methods) what each says in l2, infinite where it does not apply. ``kept`` is 1 where g surely
    gives f's class of the sample at every point of its box. ``certified_scale`` and ``lower_scale``: how fast f − g
    changes between two points of the box at least ``epsilon`` apart (l2). ``jacobian_difference``: ‖J_f − J_g‖₂ of the
    logits at the sample, of networks that do not round.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "lower_l2", "certified_l2", "lower_linf", "certified_linf", "by_method", "kept", "certified_scale",
        "lower_scale", "jacobian_difference",
    )  # fmt: skip
    gradients: ClassVar[bool] = True
    random: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Probe, ...]:
        """The logits, since what is kept is the reference's class."""
        return (Logits(),)

    def ask_pair(self, reference: Predictor, variant: Predictor, samples: Samples, context: Context) -> Observation:
        """All methods on each sample's box."""
        from bench.canonical_form.quantisers import quantisers
        from bench.functional.lipschitz.difference.scale_constant import difference_at_scale
        from bench.functional.lipschitz.difference.upper_bounds import METHODS, OnRegion, Pair

        check_bounds(reference, samples.x)
        low, high = reference.spec.input.bounds
        pair = Pair(_form(reference, context), _form(variant, context))
        fastest = _together(pair)
        chosen = [name for name in METHODS if name != "mixed-integer" or self.branches]
        found: dict[str, list[Any]] = {name: [] for name in self.arrays}
        refused: dict[str, str] = {}
        for x, name, label in zip(samples.x, samples.ids, classes_of_reference(context), strict=True):
            on = OnRegion(pair, _box(x, self.epsilon, low, high), np.inf, self.branches or None)
            told = self._of_one(on, int(label), (context.seed, name), chosen, refused)
            told["certified_scale"] = difference_at_scale(fastest, 0.0, told["certified_l2"], self.epsilon)
            assert told["lower_scale"] <= told["certified_scale"], told
            for key, value in told.items():
                found[key].append(value)
        if not quantisers(pair.graph):
            found["jacobian_difference"] = list(_jacobian_norms(pair.graph, samples.x))
        found = {name: values for name, values in found.items() if values}
        notes = {"methods": chosen, "not_applicable": {k: why for k, why in refused.items() if k != "mixed-integer"}}
        return Observation({key: np.asarray(values) for key, values in found.items()}, notes)

    def _of_one(
        self, on: OnRegion, label: int, words: tuple[str | int, ...], chosen: list[str], refused: dict[str, str]
    ) -> dict[str, Any]:
        from bench.functional.lipschitz.difference.ascent import change_from_middle, farthest
        from bench.functional.lipschitz.difference.kept import class_kept, least_margins, margin_rows
        from bench.functional.lipschitz.difference.methods import BOTH, asked, rows_of, size_of

        classes = on.pair.graph.nodes[-1].size
        margins = margin_rows(label, classes)
        reaches, reasons = asked(on, np.concatenate([np.eye(classes), margins]), chosen)
        if not reaches:
            raise NotApplicable("; ".join(dict.fromkeys(reasons.values())))
        refused |= reasons
        own = {name: rows_of(reach, slice(classes)) for name, reach in reaches.items()}
        of_margins = {
            name: reach._replace(low=reach.low[classes:], high=reach.high[classes:]) for name, reach in reaches.items()
        }
        told: dict[str, Any] = {}
        for norm in BOTH:
            told[f"certified_{norm}"] = min(size_of(reach, norm) for reach in own.values())
            told[f"lower_{norm}"], at = farthest(
                on.pair.graph, on.region, norm, words=words, starts=self.starts, steps=self.steps
            )
            if norm == "l2":
                told["lower_scale"] = change_from_middle(on.pair.graph, on.region, at, self.epsilon)
            assert told[f"lower_{norm}"] <= told[f"certified_{norm}"], (norm, told)
        told["by_method"] = [size_of(own[name], "l2") if name in own else np.inf for name in chosen]
        of_f, of_g = (least_margins(graph, on.region, margins) for graph in (on.pair.f, on.pair.g))
        told["kept"] = np.uint8(class_kept(of_f, of_g, of_margins))
        return told


def _together(pair: Pair) -> float:
    """How fast f − g can change: no faster than both together, by products of norms; infinite where one rounds."""
    from bench.canonical_form.quantisers import quantisers
    from bench.functional.lipschitz.graph_bounds.liplt import product

    if quantisers(pair.graph):
        return float("inf")
    return sum(product(graph).value for graph in (pair.f, pair.g))


def _jacobian_norms(difference: Graph, x: NDArray[Any]) -> NDArray[np.float64]:
    """‖J_f − J_g‖₂ at every sample, (n,)."""
    import torch

    from bench.functional.jacobian import output_jacobian, spectral_norms

    rows = torch.from_numpy(x.astype(np.float64)).reshape(len(x), *difference.nodes[0].shape)
    return spectral_norms(output_jacobian(lambda x: difference(x).flatten(1), rows).numpy())


def _form(predictor: Predictor, context: Context) -> Graph:
    import torch

    from bench.canonical_form.trace import canonical_form

    if predictor.spec.members > 1:
        raise NotApplicable("the mean of several members' probabilities has no logits of its own")
    assert context.trial is not None
    with gradient_view(predictor, context) as view:
        return canonical_form(view.module, torch.from_numpy(context.trial), rounding="keep")


def _box(x: NDArray[Any], epsilon: float, low: float, high: float) -> Any:
    from bench.functional.lipschitz.regions import Box

    centre = np.asarray(x, dtype=np.float64).ravel()
    return Box(np.clip(centre - epsilon, low, None), np.clip(centre + epsilon, None, high))

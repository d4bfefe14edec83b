"""Integrated gradients of a network for the classes of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.functional.integrated_gradients import completeness_missed, unit_interval_nodes
from bench.probes.attribution import ExplainedClass, GradientAttribution
from bench.probes.base import Context, Probe, probes
from bench.probes.baseline import BaselineOption
from bench.probes.gradient_view import View
from bench.probes.paths import Float, Places, logits_of, sums_over_places
from bench.registry import parameters
from bench.runtimes.base import Predictor

METRIC: Final = "attribution.ig"


@parameters
class IntegratedGradientsOptions(BaselineOption, ExplainedClass):
    """The path, and how finely it is walked."""

    steps: Annotated[int, Field(ge=1, description="Gauss-Legendre nodes from the baseline to the image, at least")] = 32
    most_steps: Annotated[int, Field(ge=1, description="nodes at most, where completeness is still missed")] = 512
    tolerance: Annotated[
        float, Field(gt=0, description="completeness error up to which the reference's nodes are doubled")
    ] = 0.01


def along_path(
    view: View, x: NDArray[np.float32], classes: NDArray[np.int64], level: float, steps: NDArray[np.int64]
) -> tuple[Float, Float]:
    """Maps (n, ...) and the logit's change (n,) of a view, each sample at its own number of nodes (n,)."""
    nodes = {count: unit_interval_nodes(count) for count in np.unique(steps).tolist()}
    alpha, weight = (np.concatenate([nodes[count][part] for count in steps.tolist()]) for part in (0, 1))
    owner = np.repeat(np.arange(len(x)), steps)
    start = np.full((1, *x.shape[1:]), level, dtype=np.float32)
    maps = sums_over_places(view, x, classes, start, Places(owner, np.zeros_like(owner), alpha, weight))
    change = logits_of(view, x, classes) - logits_of(view, np.broadcast_to(start, x.shape), classes)
    return maps, change


@probes.register("integrated-gradients-steps")
@parameters
class IntegratedGradientsSteps(IntegratedGradientsOptions, GradientAttribution):
    """How many nodes each sample needs: doubled until the network's own attribution is complete, (n,).

    Asked of the reference alone, so that every network is walked along at the same nodes. What rounds is passed
    straight through, and its attributions do not add up at any number of nodes: it keeps the least.
    """

    arrays: ClassVar[tuple[str, ...]] = ("steps",)

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``steps`` (n,)."""
        level = self.level(predictor, METRIC)
        steps = np.full(len(samples), self.steps)
        left, count = np.arange(len(samples)), self.steps
        while view.gradient == "exact" and left.size and count < self.most_steps:
            maps, change = along_path(view, samples.x[left], classes[left], level, steps[left])
            left = left[completeness_missed(maps, change, self.tolerance)]
            count = min(2 * count, self.most_steps)
            steps[left] = count
        return {"steps": steps}, {}


@probes.register("integrated-gradients")
@parameters
class IntegratedGradients(IntegratedGradientsOptions, GradientAttribution):
    """Integrated gradients (arXiv 1703.01365) of the centred logit of the explained class, by Gauss-Legendre.

    Every network is asked at the same nodes, as many as the reference needs for completeness.
    """

    arrays: ClassVar[tuple[str, ...]] = ("attribution", "logit_change", "steps")

    @property
    def needs(self) -> tuple[Probe, ...]:
        """The reference's classes, and its number of nodes."""
        return (*super().needs, IntegratedGradientsSteps(**self.parameters()))

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``attribution`` (n, ...) and ``logit_change`` (n,) float64, at ``steps`` (n,) nodes."""
        level = self.level(predictor, METRIC)
        steps = np.asarray(context.needed("integrated-gradients-steps")["steps"])
        maps, change = along_path(view, samples.x, classes, level, steps)
        return {"attribution": maps, "logit_change": change, "steps": steps}, {}

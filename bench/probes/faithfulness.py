"""How faithful a network's own attributions are to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.functional.faithfulness import area_under_replacement, infidelity
from bench.probes.attribution import ExplainedClass, GradientAttribution
from bench.probes.base import Context, probes
from bench.probes.baseline import BaselineOption
from bench.probes.gradient_view import View
from bench.probes.integrated_gradients import along_path
from bench.probes.logits import log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.streams import generator

METRIC: Final = "attribution.faithfulness"  # label of its random numbers too


@parameters
class FaithfulnessOptions(BaselineOption, ExplainedClass):
    """The attribution that is judged, and how."""

    steps: Annotated[int, Field(ge=1, description="Gauss-Legendre nodes of the integrated gradients")] = 32
    shares: Annotated[int, Field(ge=2, description="equal shares of the pixels that are deleted one after another")] = (
        20
    )
    masks: Annotated[int, Field(ge=1, description="random halves of the pixels that are replaced for infidelity")] = 50


@probes.register("faithfulness")
@parameters
class Faithfulness(FaithfulnessOptions, GradientAttribution):
    """A network's integrated gradients held against the network itself, pixels replaced by the baseline."""

    arrays: ClassVar[tuple[str, ...]] = ("deletion", "insertion", "infidelity")
    random: ClassVar[bool] = True

    def entries(self, inputs: int, classes: int) -> int:
        """The number of entries of one sample: its masks are drawn together, as bytes."""
        return inputs * max(1, self.masks // 8)

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``deletion``, ``insertion`` and ``infidelity`` (n,); every network meets the same masks."""
        level = self.level(predictor, METRIC)
        maps, _ = along_path(view, samples.x, classes, level, np.full(len(samples), self.steps))
        rows = np.arange(len(samples))

        def probability(x: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.asarray(np.exp(log_probabilities(predictor, x)[rows, classes]))

        def logit(x: NDArray[np.float32]) -> NDArray[np.float64]:
            scores = log_probabilities(predictor, x)
            return np.asarray(scores[rows, classes] - scores.mean(axis=1))

        drawn = [
            generator(METRIC, context.seed, name).random((self.masks, *samples.x.shape[1:])) < 0.5
            for name in samples.ids
        ]
        masks = np.stack(drawn, axis=1)
        areas = {
            name: area_under_replacement(probability, samples.x, level, maps, self.shares, keep=keep)
            for name, keep in (("deletion", False), ("insertion", True))
        }
        return {**areas, "infidelity": infidelity(logit, samples.x, level, maps, masks)}, {}

"""Expected gradients of a network for the classes of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.functional.expected_gradients import draw_paths
from bench.functional.similarity import cosine_distance
from bench.probes.attribution import ExplainedClass, GradientAttribution
from bench.probes.base import Context, Probe, probes
from bench.probes.gradient_view import View
from bench.probes.paths import Float, Places, logits_of, sums_over_places
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.streams import generator

STREAM: Final = "attribution.expected_gradients"  # label of its random numbers
PILOT: Final = 64  # samples on which the number of draws is found


@parameters
class ExpectedGradientsOptions(ExplainedClass):
    """How many baselines there are, and how many draws."""

    background: Annotated[int, Field(ge=1, description="baselines: so many samples of the calibration split")] = 128
    draws: Annotated[int, Field(ge=1, description="draws of a baseline and a place a sample, at least")] = 25
    most_draws: Annotated[int, Field(ge=1, description="draws at most")] = 500
    ceiling: Annotated[
        float, Field(gt=0, le=1, description="mean cosine of two independent runs up to which draws are doubled")
    ] = 0.98


def maps_of(
    view: View,
    samples: Samples,
    classes: NDArray[np.int64],
    context: Context,
    baselines: int,
    count: int,
    run: str,
) -> tuple[Float, Float]:
    """Maps (n, ...) and the logit's change (n,) by draws that depend on the sample and the run alone."""
    assert context.background is not None
    behind = context.background.x[:baselines]
    drawn = [draw_paths(len(behind), count, generator(STREAM, context.seed, run, name)) for name in samples.ids]
    start, alpha = (np.concatenate(part) for part in zip(*drawn, strict=True))
    owner = np.repeat(np.arange(len(samples)), count)
    places = Places(owner, start, alpha, np.full(len(owner), 1.0 / count))
    maps = sums_over_places(view, samples.x, classes, behind, places)
    levels = {name: logits_of(view, behind, np.full(len(behind), name)) for name in np.unique(classes).tolist()}
    mean = [levels[name][item.baselines].mean() for name, item in zip(classes.tolist(), drawn, strict=True)]
    return maps, logits_of(view, samples.x, classes) - np.array(mean)


@probes.register("expected-gradients-draws")
@parameters
class ExpectedGradientsDraws(ExpectedGradientsOptions, GradientAttribution):
    """How many draws expected gradients need: doubled until two independent runs on one network agree.

    Agreement, the re-run ceiling, is the mean cosine of both runs' maps on the first 64 samples. Asked of the reference
    alone, so that every network is asked by the same draws.
    """

    arrays: ClassVar[tuple[str, ...]] = ("draws",)
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "set"
    random: ClassVar[bool] = True
    needs_background: ClassVar[bool] = True

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``draws`` (n,), the same for every sample; notes the ceiling that they reach."""
        few, named = samples.take(slice(0, PILOT)), classes[:PILOT]
        count, reached = self.draws, self._agreement(view, few, named, context, self.draws)
        while reached < self.ceiling and count < self.most_draws:
            count = min(2 * count, self.most_draws)
            reached = self._agreement(view, few, named, context, count)
        return {"draws": np.full(len(samples), count)}, {"draws": count, "rerun_ceiling": reached}

    def _agreement(
        self, view: View, samples: Samples, classes: NDArray[np.int64], context: Context, count: int
    ) -> float:
        first, second = (
            maps_of(view, samples, classes, context, self.background, count, run)[0] for run in ("first", "second")
        )
        return float(1.0 - cosine_distance(first, second).mean())


@probes.register("expected-gradients")
@parameters
class ExpectedGradients(ExpectedGradientsOptions, GradientAttribution):
    """Expected gradients (arXiv 1906.10670) of the centred logit of the explained class.

    Every network is asked by the same draws of baselines and places, as many as the reference needs.
    """

    arrays: ClassVar[tuple[str, ...]] = ("attribution", "logit_change")
    random: ClassVar[bool] = True
    needs_background: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Probe, ...]:
        """The reference's classes, and its number of draws."""
        return (*super().needs, ExpectedGradientsDraws(**self.parameters()))

    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """``attribution`` (n, ...) and ``logit_change`` (n,), float64."""
        assert context.background is not None
        needed = context.reference["expected-gradients-draws"]
        count = int(needed.arrays["draws"][0])
        maps, change = maps_of(view, samples, classes, context, self.background, count, "common")
        told = {name: needed.notes[name] for name in ("draws", "rerun_ceiling")}
        behind = {"split": context.background.split, "samples": len(context.background.x[: self.background])}
        return {"attribution": maps, "logit_change": change}, {**told, "background": behind}

"""KernelSHAP: Shapley values of an input's segments, by the network's scores with some of them taken away."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import UserError
from bench.functional.kernel_shap import (
    Coalitions,
    draw_coalitions,
    grid_segments,
    shapley_values,
    spread_over_segments,
)
from bench.probes.attribution import ExplainedClass
from bench.probes.base import probes
from bench.probes.baseline import BaselineOption
from bench.probes.masked import MaskedAttribution, Masks, places
from bench.registry import parameters
from bench.stats.streams import generator

METRIC = "attribution.kernel_shap"  # label of its random numbers too
LEAST = 4  # drawn coalitions a player, below which a regression says little


@parameters
class KernelShapOptions(BaselineOption, ExplainedClass):
    """The players, and how many coalitions of them are asked."""

    coalitions: Annotated[
        int,
        Field(ge=2, multiple_of=2, description="coalitions a sample, in complementary pairs: forward passes a sample"),
    ] = 1000
    grid: Annotated[int, Field(ge=1, description="segments of an image along each side")] = 7
    groups: Annotated[
        int | None, Field(ge=1, description="segments of a vector, of neighbouring features; every feature by default")
    ] = None


@probes.register("kernel-shap")
@parameters
class KernelShap(KernelShapOptions, MaskedAttribution):
    """KernelSHAP (arXiv 1705.07874) of the centred logit over a grid of segments; a map adds up to f(x) − f(baseline).

    Where there are no more coalitions than are asked for, all are taken and the Shapley values are exact. A sample's
    coalitions depend on the seed and its id alone: every network is shown the same.
    """

    def maps(
        self, scores: Callable[[Masks, int], NDArray[np.float64]], samples: Samples, seed: int
    ) -> NDArray[np.float64]:
        """Maps (n, ...): each segment's value, shared equally by its places."""
        segments = self.segments(places(samples.x))
        players = int(segments.max()) + 1

        @lru_cache(maxsize=1)
        def drawn(sample: int) -> Coalitions:
            return draw_coalitions(generator(METRIC, seed, samples.ids[sample]), players, self.coalitions)

        def shown(sample: int, part: slice) -> NDArray[np.bool_]:
            ends = np.repeat([[True], [False]], players, axis=1)  # the whole input, and the baseline
            return np.concatenate([ends, drawn(sample).members])[part][:, segments]

        found = scores(shown, 2 + len(drawn(0).members))
        values = [shapley_values(drawn(i), row[2:], empty=row[1], whole=row[0]) for i, row in enumerate(found)]
        return np.stack([spread_over_segments(each, segments) for each in values])

    def segments(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """The segment of each place; ``UserError`` where they do not fit, or are too many for the coalitions."""
        cells, option = (self.grid, "grid") if len(shape) > 1 else (self.groups or shape[0], "groups")
        try:
            segments = grid_segments(shape, cells)
        except ValueError as error:
            raise UserError.at(f"{METRIC}.{option}", str(error)) from None
        players = int(segments.max()) + 1
        if self.coalitions < LEAST * players and (players > 60 or self.coalitions < 2**players - 2):
            what = f"{self.coalitions} coalitions are few for {players} segments"
            raise UserError.at(f"{METRIC}.coalitions", what, f"give {LEAST * players} or more, or a smaller {option}")
        return segments

    def entries(self, inputs: int, classes: int) -> int:
        """The number of entries of one sample: those of a map, or its scores."""
        return max(inputs, self.coalitions)

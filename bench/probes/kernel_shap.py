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
    most_coalitions,
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

    A segment that equals the baseline takes no part: its value is zero. Where there are no more coalitions than are
    asked for, all are taken and the Shapley values are exact. A sample's coalitions depend on the seed, its id and
    which of its segments take part: every network is shown the same.
    """

    def maps(
        self, scores: Callable[[Masks, int], NDArray[np.float64]], samples: Samples, level: float, seed: int
    ) -> NDArray[np.float64]:
        """Maps (n, ...): each segment's value, shared equally by its places."""
        segments = self.segments(places(samples.x))
        absent = samples.x == np.float32(level)
        players = [np.unique(segments[~each]) for each in (absent if samples.x.ndim == 2 else absent.all(axis=1))]
        total = int(segments.max()) + 1

        @lru_cache(maxsize=1)
        def drawn(sample: int) -> Coalitions:
            random = generator(METRIC, seed, samples.ids[sample])
            return draw_coalitions(random, len(players[sample]), self.coalitions)

        def shown(sample: int, part: slice) -> NDArray[np.bool_]:
            members = drawn(sample).members
            kept = np.zeros((count, total), dtype=bool)  # the baseline, where there are no more coalitions
            kept[0] = True  # the whole input
            kept[2 : 2 + len(members), players[sample]] = members
            return kept[part][:, segments]

        count = 2 + most_coalitions(total, self.coalitions)
        values = np.zeros((len(samples), total))
        for sample, row in enumerate(scores(shown, count)):
            asked = drawn(sample)
            if len(players[sample]):
                theirs = shapley_values(asked, row[2 : 2 + len(asked.members)], empty=row[1], whole=row[0])
                values[sample, players[sample]] = theirs
        return np.stack([spread_over_segments(each, segments) for each in values])

    def segments(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """The segment of each place; ``UserError`` where they do not fit, or are too many for the coalitions."""
        cells, option = (self.grid, "grid") if len(shape) > 1 else (self.groups or shape[0], "groups")
        try:
            segments = grid_segments(shape, cells)
        except ValueError as error:
            raise UserError.at(f"{METRIC}.{option}", str(error)) from None
        players = int(segments.max()) + 1
        if most_coalitions(players, self.coalitions) == self.coalitions < LEAST * players:
            what = f"{self.coalitions} coalitions are few for {players} segments"
            raise UserError.at(f"{METRIC}.coalitions", what, f"give {LEAST * players} or more, or a smaller {option}")
        return segments

    def entries(self, inputs: int, classes: int) -> int:
        """The number of entries of one sample: those of a map, or its scores."""
        return max(inputs, self.coalitions)

"""RISE: where a network's score is higher when a pixel is shown, by random masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import NotApplicable, UserError
from bench.functional.rise import CoarseMasks, draw_masks, enlarge, rise_map
from bench.networks.network import spelled
from bench.probes.attribution import ExplainedClass
from bench.probes.base import probes
from bench.probes.baseline import BaselineOption
from bench.probes.masked import MaskedAttribution, Masks, places
from bench.registry import parameters
from bench.stats.streams import generator

METRIC = "attribution.rise"  # label of its random numbers too


@parameters
class RiseOptions(BaselineOption, ExplainedClass):
    """How many masks, how coarse, and how much they show."""

    masks: Annotated[int, Field(ge=2, description="random masks a sample: forward passes a sample")] = 1000
    grid: Annotated[int, Field(ge=1, description="cells of a mask along each side of the image")] = 7
    shown: Annotated[float, Field(gt=0, lt=1, description="share of the cells that a mask shows")] = 0.5


@probes.register("rise")
@parameters
class Rise(RiseOptions, MaskedAttribution):
    """RISE (arXiv 1806.07421) of the centred logit: masks of random cells, enlarged bilinearly and shifted.

    A sample's masks depend on the seed and its id alone: every network is shown the same.
    """

    def maps(
        self, scores: Callable[[Masks, int], NDArray[np.float64]], samples: Samples, level: float, seed: int
    ) -> NDArray[np.float64]:
        """Maps (n, height, width): larger where the score is higher with the pixel shown."""
        if samples.x.ndim != 4:
            raise NotApplicable(f"RISE enlarges masks of images; these are {spelled(samples.x.shape[1:])}")
        height, width = places(samples.x)
        if self.grid > min(height, width):
            what = f"{self.grid} cells do not fit images of {height} x {width} pixels"
            raise UserError.at(f"{METRIC}.grid", what, f"give 1 to {min(height, width)}")

        @lru_cache(maxsize=1)
        def drawn(sample: int) -> CoarseMasks:
            return draw_masks(generator(METRIC, seed, samples.ids[sample]), self.masks, self.grid, self.shown)

        def shown(sample: int, part: slice) -> NDArray[np.float32]:
            masks = drawn(sample)
            return enlarge(CoarseMasks(masks.bits[part], masks.shifts[part]), height, width)

        found = scores(shown, self.masks)
        return np.stack([rise_map(drawn(i), row, self.shown, height, width) for i, row in enumerate(found)])

    def entries(self, inputs: int, classes: int) -> int:
        """The number of entries of one sample: those of a map, or its scores."""
        return max(inputs, self.masks)

"""Occlusion: how far a network's score falls where a window of its input is covered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import UserError
from bench.functional.occlusion import occlusion_map, uncovered, window_corners
from bench.probes.attribution import ExplainedClass
from bench.probes.base import probes
from bench.probes.baseline import BaselineOption
from bench.probes.masked import MaskedAttribution, Masks, places
from bench.registry import parameters

METRIC = "attribution.occlusion"


@parameters
class OcclusionOptions(BaselineOption, ExplainedClass):
    """The windows, and what they are covered with."""

    window: Annotated[
        int | None,
        Field(ge=1, description="places a side; by default a seventh of an image's shorter side, one feature"),
    ] = None
    stride: Annotated[int | None, Field(ge=1, description="places from window to window; half a window by default")] = (
        None
    )


@probes.register("occlusion")
@parameters
class Occlusion(OcclusionOptions, MaskedAttribution):
    """Occlusion (arXiv 1311.2901): the mean fall of the centred logit over all windows that cover a place.

    Nothing is drawn: every network and sample is shown the same windows.
    """

    random = False

    def maps(
        self, scores: Callable[[Masks, int], NDArray[np.float64]], samples: Samples, level: float, seed: int
    ) -> NDArray[np.float64]:
        """Maps (n, ...): positive where the input speaks for the class."""
        shape = places(samples.x)
        window, corners = self.windows(shape)

        found = scores(lambda sample, part: uncovered(shape, corners[part], window), len(corners))
        whole = scores(lambda sample, part: np.ones((1, *shape), dtype=bool), 1)[:, 0]
        return np.stack([occlusion_map(shape, corners, window, *pair) for pair in zip(whole, found, strict=True)])

    def windows(self, shape: tuple[int, ...]) -> tuple[int, NDArray[np.int64]]:
        """The places a side of a window, and where the windows begin; ``UserError`` where none fits."""
        usual = 1 if len(shape) == 1 else -(-min(shape) // 7)
        window = usual if self.window is None else self.window
        stride = max(1, window // 2) if self.stride is None else self.stride
        try:
            return window, window_corners(shape, window, stride)
        except ValueError as error:
            raise UserError.at(METRIC, str(error)) from None

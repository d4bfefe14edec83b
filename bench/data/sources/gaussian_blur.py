"""The evaluation images, blurred."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from bench.data.base import Dataset, Samples
from bench.data.sources.base import Source, sources
from bench.errors import UserError
from bench.registry import parameters

IMAGE_AXES = 3  # channels, height, width


@sources.register("gaussian-blur")
@parameters
class GaussianBlur(Source):
    """The evaluation images under a Gaussian filter over height and width, edges mirrored.

    Ids are ``gaussian-blur/ID``. Images that the filter does not change are left out.
    """

    sigma: Annotated[float, Field(gt=0, description="standard deviation of the filter, in pixels")]

    def samples(self, dataset: Dataset, where: str) -> Samples:
        """One blurred image for each evaluation image."""
        from scipy.ndimage import gaussian_filter

        own = dataset.evaluation
        if own.x.ndim != IMAGE_AXES + 1:
            raise UserError.at(where, f"samples of shape {own.x.shape[1:]} are no images", "blur images alone")
        low, high = dataset.input.bounds
        filtered = [gaussian_filter(x, (0.0, self.sigma, self.sigma), mode="reflect") for x in own.x]
        blurred = np.clip(np.array(filtered, dtype=np.float32), np.float32(low), np.float32(high))
        index = np.flatnonzero((blurred != own.x).reshape(len(own), -1).any(axis=1))
        return Samples(tuple(f"gaussian-blur/{own.ids[row]}" for row in index), blurred[index], None)

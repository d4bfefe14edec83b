"""What the simulations share."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.stats.resampling import Resamples


@pytest.fixture(scope="session")
def resamples() -> Resamples:
    """1,000 resamples of 300 samples."""
    return Resamples(300, 1000)


@pytest.fixture(scope="session")
def weights(resamples: Resamples) -> NDArray[np.float64]:
    """The same as a matrix of float64, for statistics that the tests sum by matrix products."""
    return np.concatenate([*resamples.blocks()]).astype(np.float64)

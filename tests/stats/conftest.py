"""What the simulations share."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.stats.resampling import bootstrap_weights


@pytest.fixture(scope="session")
def weights() -> NDArray[np.float64]:
    """1,000 resamples of 300 samples; float64, so that the simulations need not convert them each time."""
    return bootstrap_weights(300, 1000).astype(np.float64)

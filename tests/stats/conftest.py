"""What the simulations share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.stats.proportions import clopper_pearson
from bench.stats.resampling import bootstrap_weights


@pytest.fixture(scope="session")
def weights() -> NDArray[np.float64]:
    """1,000 resamples of 300 samples; float64, so that the simulations need not convert them each time."""
    return bootstrap_weights(300, 1000).astype(np.float64)


@pytest.fixture(scope="session")
def at_least() -> Callable[[int, int, float], bool]:
    """Whether a true coverage of ``wanted`` is still possible (99 %, one-sided) after so many hits."""

    def judge(hits: int, trials: int, wanted: float) -> bool:
        limit = clopper_pearson(hits, trials, level=0.98).high
        return limit is not None and limit >= wanted

    return judge

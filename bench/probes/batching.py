"""Batches of one fixed size, so that a sample's figures stand for themselves."""

from __future__ import annotations

import math

from bench.runtimes.base import Predictor

PIXELS = 2**20  # inputs in one batch at most: gradients keep every activation


def batch_size(predictor: Predictor) -> int:
    """Rows computed together, whatever the number of samples: half the predictor's batch, fewer of large inputs.

    A network whose output depends on the batch gets one row at a time.
    """
    if predictor.spec.batch_dependent:
        return 1
    inputs = math.prod(predictor.spec.input.shape)
    return max(1, min(predictor.batch_size // 2, PIXELS // inputs))

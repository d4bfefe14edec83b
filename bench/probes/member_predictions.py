"""What each member of a network of several predicts."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.data.base import Samples
from bench.functional.member_predictions import expected_entropy, mutual_information
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.logits import member_logits
from bench.registry import parameters
from bench.runtimes.base import Predictor


@probes.register("member-predictions")
@parameters
class MemberPredictions(Probe):
    """``member_classes`` (n, members), ``expected_entropy`` and ``mutual_information`` (n,), nats, of all members."""

    arrays: ClassVar[tuple[str, ...]] = ("member_classes", "expected_entropy", "mutual_information")

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """Of one forward pass of every member; ties of classes go to the first."""
        logits = member_logits(predictor, samples.x)
        classes = np.ascontiguousarray(logits.argmax(axis=2).T.astype(np.int32))
        figures = (classes, expected_entropy(logits), mutual_information(logits))
        return Observation(dict(zip(self.arrays, figures, strict=True)))

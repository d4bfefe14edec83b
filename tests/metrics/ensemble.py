"""Predictors as members of one network."""

from __future__ import annotations

import torch

from bench.runtimes.base import Predictor, PredictorSpec


class Ensemble(Predictor):
    """Several predictors as members of one."""

    def __init__(self, *members: Predictor) -> None:
        self.members = members
        self.network = members[0].network
        self.spec = PredictorSpec(self.network.input, members[0].spec.target, members=len(members))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([member.forward(x) for member in self.members])

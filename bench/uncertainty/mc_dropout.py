"""Dropout that stays on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.models.base import Model
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.uncertainty.base import methods
from bench.uncertainty.drawn_once import DrawnOnce

if TYPE_CHECKING:
    from torch import nn


@methods.register("mc-dropout")
@parameters
class MonteCarloDropout(DrawnOnce):
    """Dropout in training and answers alike, behind every hidden activation (Gal & Ghahramani, arXiv 1506.02142).

    Convolutions drop whole channels. The members' masks are drawn once and stored, the same for every sample
    (consistent dropout), so that a member is a function that can be exported. Kept units are divided by 1 - rate.
    """

    rate: Annotated[float, Field(gt=0, lt=1, description="share of the units that is dropped")] = 0.1

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The network with a mask behind every hidden activation."""
        from bench.uncertainty.masked import masked

        return masked(model, declared, self.members, self.rate)

"""Residual branches that are left out at random."""

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


@methods.register("stochastic-depth")
@parameters
class StochasticDepth(DrawnOnce):
    """``y = x + b_l F(x) / p_l`` in training and answers alike, b_l being 1 with probability p_l (arXiv 1603.09382).

    ``p_l = 1 - (l / L) (1 - survival)`` falls from the first to the last of L residual branches. The members' gates
    are drawn once and stored; of L branches there are at most 2^L different members.
    """

    survival: Annotated[
        float, Field(gt=0, lt=1, description="of the last branch; the first ones survive more often")
    ] = 0.8

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The network with a gate behind every residual branch."""
        from bench.networks.members import Tiled
        from bench.uncertainty.gated import gate_branches

        network = model.build(declared)
        gate_branches(network, network, declared, self.members, self.survival)
        return Tiled(network, self.members)

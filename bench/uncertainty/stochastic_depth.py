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
        from torch import nn

        from bench.networks.members import MemberGate, Tiled
        from bench.uncertainty.placing import residual_branches

        network = model.build(declared)
        branches = residual_branches(network, declared)
        for number, (name, dimensions) in enumerate(branches, 1):
            gate = MemberGate(self.members, dimensions, rate=1 - self._survival(number, len(branches)))
            network.set_submodule(name, nn.Sequential(network.get_submodule(name), gate))
        return Tiled(network, self.members)

    def _survival(self, number: int, count: int) -> float:
        return 1 - number / count * (1 - self.survival)

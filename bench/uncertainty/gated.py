"""Gates behind the residual branches of a network, which leave a whole branch out."""

from __future__ import annotations

from torch import nn

from bench.networks.members import MemberGate
from bench.networks.network import InputSpec
from bench.uncertainty.placing import residual_branches


def gate_branches(network: nn.Module, plain: nn.Module, declared: InputSpec, members: int, survival: float) -> None:
    """Put a gate behind every residual branch of a network, in place; its rate is that of stochastic depth.

    ``1 - p_l = (l / L) (1 - survival)`` of the l-th of L branches, which ``plain``, the network as it is built, tells.

    Raises:
        UserError: It has none.
    """
    branches = residual_branches(plain, declared)
    for number, (name, dimensions) in enumerate(branches, 1):
        gate = MemberGate(members, dimensions, rate=number / len(branches) * (1 - survival))
        network.set_submodule(name, nn.Sequential(network.get_submodule(name), gate))


def gates_of(network: nn.Module) -> list[MemberGate]:
    """The gates of a network, in its order."""
    return [part for part in network.modules() if isinstance(part, MemberGate)]

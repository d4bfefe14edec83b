"""Step ``one-member``: one member of a network of several, alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bench.compression.base import Step, StepContext, steps
from bench.errors import UserError
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.compression.pruning.graph import ChannelGroup


@steps.register("one-member")
@parameters
class OneMember(Step):
    """Cut one member out: its own network of an ensemble; of one with masks the channels that it has, and no others.

    It answers what the member answers among the others. Channels that cannot be cut stay, and are masked.
    """

    member: Annotated[int, Field(ge=0, description="which, from 0")] = 0

    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "its rounding is set; cut the member out before quantising",
        "onnx": "an ONNX file cannot be cut; cut the member out before exporting",
        "onnx-quantised": "an ONNX file cannot be cut; cut the member out before exporting",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Cut; ``UserError`` where there is no such member, or it does not stand alone in the network."""
        from bench.compression.pruning.graph import History, find_channels, remove
        from bench.functional.module_cost import parameter_count
        from bench.networks.members import MemberMask

        assert isinstance(network, TorchNetwork)
        if self.member >= network.input.members:
            what = f"member {self.member} of a network of {network.input.members}"
            raise UserError.at("one-member.member", what, f"give 0 to {network.input.members - 1}")
        module, history = network.module, History()
        parts = [(name, part) for name, part in module.named_modules() if isinstance(part, MemberMask)]
        if parts:
            groups = find_channels(module, network.input).groups
            absent = {name: part.masks[self.member] == 0 for name, part in parts}
            module, history = remove(module, network.input, groups, unused_units(groups, absent))
        alone = taken_out(module, self.member, network.input.members)
        declared = network.input.one_member
        record = {
            "answers": declared.canonical(),
            "history": history,
            "parameters_before": parameter_count(network.module),
            "parameters_after": parameter_count(alone),
        }
        return TorchNetwork(alone, declared), record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """Repeat the cuts, and take the member out."""
        from bench.compression.pruning.graph import replay

        assert isinstance(network, TorchNetwork)
        module = replay(network.module, network.input, record["history"]) if record["history"] else network.module
        return TorchNetwork(taken_out(module, self.member, network.input.members), network.input.one_member)


def unused_units(groups: tuple[ChannelGroup, ...], absent: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    """The units of each group that every mask on it leaves out; ``absent`` (units,) of bool by the mask's name."""
    chosen: dict[str, list[int]] = {}
    for group in groups:
        masked = [entry for entry in group.entries if entry.layer in absent]
        left_out = [
            {unit for unit, channel in zip(entry.units, entry.channels, strict=True) if absent[entry.layer][channel]}
            for entry in masked
        ]
        if left_out:
            chosen[group.name] = sorted(set.intersection(*left_out))
    return chosen


def taken_out(module: nn.Module, member: int, members: int) -> nn.Module:
    """A copy of the member's own network, masks and gates as constant factors; of one member the network as it is.

    Raises:
        UserError: the members share layers, so that none stands alone.
    """
    import copy

    from bench.networks.members import ByMember, Factors, Stacked, Tiled

    if members == 1:
        return copy.deepcopy(module).eval()
    if isinstance(module, Stacked):
        return copy.deepcopy(module.members[member]).eval()
    if not isinstance(module, Tiled):
        what = f"the members of a {type(module).__name__} share layers"
        raise UserError.at("one-member", what, "take the whole network, or an ensemble or one with masks")
    alone = copy.deepcopy(module.network)
    for name, part in list(alone.named_modules()):
        if isinstance(part, ByMember):
            alone.set_submodule(name, Factors(part.factors[member]))
    return alone.eval()

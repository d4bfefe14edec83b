"""Layers made wider and cut into groups."""

from __future__ import annotations

from typing import Final

from torch import nn

from bench.errors import UserError
from bench.networks.members import Heads

WHERE: Final = "reference.method"
NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d)


def grouped(network: nn.Module, members: int, width: int, split: int) -> Heads:
    """An untrained network whose hidden layers are ``width`` times as wide, in ``members split`` groups.

    Initialised from torch's current generator.

    Raises:
        UserError: widths that the groups do not divide, or a layer with weights that is no convolution, linear layer
            or BatchNorm.
    """
    layers = [(name, layer) for name, layer in network.named_modules() if list(layer.parameters(recurse=False))]
    computing = [name for name, layer in layers if isinstance(layer, nn.Conv2d | nn.Linear)]
    for name, layer in layers:
        if isinstance(layer, NORMS):
            new: nn.Module = type(layer)(width * layer.num_features)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            first, last = name == computing[0], name == computing[-1]
            new = _wider(name, layer, members, width, 1 if first else members * (1 if last else split), first, last)
        else:
            what = f"{name} is a {type(layer).__name__}, which cannot be cut into groups"
            raise UserError.at(WHERE, what, "give an architecture of convolutions, linear layers and BatchNorm")
        network.set_submodule(name, new)
    return Heads(network, members)


def _wider(
    name: str, layer: nn.Conv2d | nn.Linear, members: int, width: int, groups: int, first: bool, last: bool
) -> nn.Module:
    """One layer in groups; a linear one as a 1x1 convolution."""
    if isinstance(layer, nn.Linear):
        entering, leaving = layer.in_features, layer.out_features
    else:
        entering, leaving = layer.in_channels, layer.out_channels
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        raise UserError.at(WHERE, f"{name} is grouped already", "give an architecture of plain convolutions")
    entering, leaving = entering * (1 if first else width), leaving * (members if last else width)
    if entering % groups or leaving % groups:
        what = f"{name} takes {entering} channels and gives {leaving}, which {groups} groups do not divide"
        raise UserError.at(WHERE, what, f"give widths that are multiples of {members}, or another width or split")
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(
            entering, leaving, layer.kernel_size, layer.stride, layer.padding, layer.dilation, groups,  # type: ignore[arg-type]
            bias=layer.bias is not None,
        )  # fmt: skip
    convolution = nn.Conv2d(entering, leaving, 1, groups=groups, bias=layer.bias is not None)
    return nn.Sequential(nn.Unflatten(1, (entering, 1, 1)), convolution, nn.Flatten())

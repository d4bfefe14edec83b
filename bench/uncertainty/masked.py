"""One network whose members are told apart by masks on its hidden units."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import nn

from bench.models.base import Model
from bench.networks.members import MemberMask, Tiled
from bench.networks.network import InputSpec
from bench.uncertainty.placing import Place, maskable_places

MakeMasks: TypeAlias = Callable[[Place, int], torch.Tensor]  # of a place and its number: (members, units)


def masked(model: Model, declared: InputSpec, members: int, rate: float = 0.0, *, tile_training: bool = False) -> Tiled:
    """An untrained network with a mask of ones behind every hidden activation."""
    network = model.build(declared)
    for place in maskable_places(network, declared):
        mask = MemberMask(members, place.units, place.dimensions, rate, tile_training=tile_training)
        network.set_submodule(place.name, nn.Sequential(network.get_submodule(place.name), mask))
    return Tiled(network, members, tile_training=tile_training)


def masks_of(network: nn.Module) -> list[MemberMask]:
    """The masks of a network, in its order."""
    return [part for part in network.modules() if isinstance(part, MemberMask)]


def fill(network: nn.Module, make: Callable[[int, int], torch.Tensor]) -> None:
    """Set the masks: ``make(number, units)`` gives (members, units) for each."""
    for number, mask in enumerate(masks_of(network)):
        mask.fill(make(number, mask.units))

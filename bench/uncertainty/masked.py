"""One network whose members are told apart by masks on its hidden units."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from bench.models.base import Model
from bench.networks.members import MemberMask, Tiled
from bench.networks.network import InputSpec
from bench.uncertainty.placing import maskable_places, norm_before


def masked(model: Model, declared: InputSpec, members: int, rate: float = 0.0, *, apart: bool = False) -> Tiled:
    """An untrained network with a mask of ones behind every hidden activation; ``apart``: as ``Tiled`` has it."""
    network = model.build(declared)
    places = maskable_places(network, declared)
    norms = {place.name: norm_before(network, place.name) for place in places} if apart else {}
    for place in places:
        mask = MemberMask(members, place.units, place.dimensions, rate)
        network.set_submodule(place.name, nn.Sequential(network.get_submodule(place.name), mask))
    pairs = tuple((norm, f"{name}.1") for name, norm in norms.items() if norm)
    return Tiled(network, members, apart=apart, norms=pairs)


def masks_of(network: nn.Module) -> list[MemberMask]:
    """The masks of a network, in its order."""
    return [part for part in network.modules() if isinstance(part, MemberMask)]


def fill(network: nn.Module, make: Callable[[int, int], torch.Tensor]) -> None:
    """Set the masks: ``make(number, units)`` gives (members, units) for each."""
    for number, mask in enumerate(masks_of(network)):
        mask.fill(make(number, mask.units))

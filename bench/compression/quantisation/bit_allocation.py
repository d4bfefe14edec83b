"""Bits per layer: what each layer's rounding costs, and the cheapest way down to a budget."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.compression.quantisation.graph import quantised_graph
from bench.compression.quantisation.options import Scheme
from bench.compression.quantisation.quantisers import quiet_brevitas
from bench.models.training import reproducible
from bench.networks.interface import raw_logits
from bench.networks.network import InputSpec

CHOICES = (8, 4, 2)  # weight bits, most first
BATCH = 256


@dataclass(frozen=True)
class Allocation:
    """The bits of each layer, and the steps by which they came about: (layer, bits)."""

    bits: dict[str, int]
    order: tuple[tuple[str, int], ...]

    def total(self, counts: Mapping[str, int]) -> int:
        """Bits of all weights."""
        return sum(counts[name] * bits for name, bits in self.bits.items())


def allocate(
    counts: Mapping[str, int], sensitivity: Mapping[str, Mapping[int, float]], budget: float
) -> Allocation | None:
    """Take bits from layer after layer until all weights together take at most ``budget`` bits; none where none can.

    All start at 8. Each time, the layer whose next step (8 to 4, 4 to 2) adds the least divergence for each bit saved
    takes it; of equals the first. A step that meets the budget at once and adds less still is taken instead. What is
    left over in the end goes back to where it removes most divergence.

    Args:
        counts: weights of each layer.
        sensitivity: layer -> bits -> divergence with this layer alone at these bits.
        budget: bits of all weights together.

    >>> divergence = {"a": {8: 0.0, 4: 0.1, 2: 9.0}, "b": {8: 0.0, 4: 0.2, 2: 0.3}}
    >>> allocate({"a": 10, "b": 10}, divergence, 80).bits  # 160 bits at 8 each
    {'a': 4, 'b': 4}
    >>> allocate({"a": 10, "b": 10}, divergence, 60).bits
    {'a': 4, 'b': 2}
    >>> allocate({"a": 10, "b": 10}, divergence, 39)
    """
    bits = dict.fromkeys(counts, CHOICES[0])
    order: list[tuple[str, int]] = []

    def excess() -> float:
        return sum(counts[name] * bits[name] for name in counts) - budget

    while excess() > 0:
        moves = _moves(counts, sensitivity, bits, down=True)
        if not moves:
            return None
        chosen = min(moves, key=lambda move: move.divergence / move.size)
        ends = [move for move in moves if move.size >= excess() and move.divergence < chosen.divergence]
        chosen = min(ends, key=lambda move: move.divergence, default=chosen)
        bits[chosen.layer] = chosen.bits
        order.append((chosen.layer, chosen.bits))
    while back := [
        m for m in _moves(counts, sensitivity, bits, down=False) if m.size <= -excess() and m.divergence < 0
    ]:
        chosen = min(back, key=lambda move: move.divergence)
        bits[chosen.layer] = chosen.bits
        order.append((chosen.layer, chosen.bits))
    return Allocation(bits, tuple(order))


class _Move(NamedTuple):
    """A layer's next step: its new bits, how many bits all its weights change by, and the divergence added."""

    layer: str
    bits: int
    size: int
    divergence: float


def _moves(
    counts: Mapping[str, int], sensitivity: Mapping[str, Mapping[int, float]], bits: Mapping[str, int], *, down: bool
) -> list[_Move]:
    following = dict(pairwise(CHOICES if down else CHOICES[::-1]))
    return [
        _Move(
            name,
            following[bits[name]],
            counts[name] * abs(bits[name] - following[bits[name]]),
            sensitivity[name][following[bits[name]]] - sensitivity[name][bits[name]],
        )
        for name in counts
        if bits[name] in following
    ]


def sensitivities(
    module: nn.Module, x: torch.Tensor, scheme: Scheme, declared: InputSpec
) -> dict[str, dict[int, float]]:
    """Mean KL(p || q) of each member's outputs in nats, q with one layer at 8, 4 or 2 bits, all else in float.

    Args:
        module: the float network as it is to be quantised.
        x: preprocessed samples (n, channels, height, width).
        scheme: how weight ranges are found.
        declared: whether the network puts out logits or probabilities.
    """
    probe = copy.deepcopy(module).eval()
    batches = list(torch.split(x, BATCH))
    damage: dict[str, dict[int, float]] = {}
    with reproducible("sensitivity"), quiet_brevitas(), torch.no_grad():
        expected = _log_probabilities(probe, batches, declared)
        for bits in CHOICES:
            weights_only = replace(scheme, weights=bits, activations=None, layer_bits={})
            quantised, placed = quantised_graph(module, weights_only)
            for name, entry in placed["layers"].items():
                if "weight_of" in entry:  # another call of the same layer
                    continue
                layer: Any = probe.get_submodule(name)
                kept = layer.weight.data
                rounded: Any = quantised.get_submodule(name)
                layer.weight.data = rounded.quant_weight().value
                rows = expected.exp() * (expected - _log_probabilities(probe, batches, declared))
                damage.setdefault(name, {})[bits] = max(float(rows.sum(dim=-1).mean()), 0.0)
                layer.weight.data = kept
    return damage


def _log_probabilities(module: nn.Module, batches: list[torch.Tensor], declared: InputSpec) -> torch.Tensor:
    return raw_logits(torch.cat([module(batch) for batch in batches]).double(), declared).log_softmax(dim=-1)

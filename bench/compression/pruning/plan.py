"""The number of units that each group loses: by a ratio, by ranking all together, or to meet a budget of products."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import nn

from bench.compression.pruning.graph import ChannelGroup, weighted_kinds
from bench.compression.pruning.importance import Scores
from bench.errors import UserError
from bench.functional.module_cost import multiply_accumulates
from bench.networks.network import InputSpec

UnitsKept: TypeAlias = dict[str, int]  # group -> units that stay
Curves: TypeAlias = Mapping[str, Mapping[float, float]]  # group -> ratio -> damage

HALVINGS = 40


class LayerCost(NamedTuple):
    """Multiply-accumulates of a layer: positions · kernel · outputs · inputs of one output."""

    positions: int  # times kernel elements
    outputs: int
    inputs: int
    groups: int


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of a network as a function of the units its groups keep."""

    layers: dict[str, LayerCost]
    groups: tuple[ChannelGroup, ...]
    rest: int = 0  # of what is no layer: attention, functions; it counts as kept whole, so that a budget is met

    def macs(self, kept: Mapping[str, int]) -> int:
        """Multiply-accumulates of one sample when each group keeps so many units; groups not named stay whole."""
        outputs = {name: float(layer.outputs) for name, layer in self.layers.items()}
        inputs = {name: float(layer.inputs * layer.groups) for name, layer in self.layers.items()}
        for group in self.groups:
            lost = (group.size - kept.get(group.name, group.size)) / group.size
            for entry in group.entries:
                if entry.layer in self.layers and entry.role != "passes":
                    side = outputs if entry.role == "makes" else inputs
                    side[entry.layer] -= lost * len(entry.channels)
        total = self.rest
        for name, layer in self.layers.items():
            total += layer.positions * round(outputs[name] * inputs[name] / layer.groups)
        return total


def cost_of(module: nn.Module, declared: InputSpec, groups: tuple[ChannelGroup, ...]) -> Cost:
    """Measure the layers of a module once, on one sample of zeros."""
    layers: dict[str, LayerCost] = {}
    counted = copy.deepcopy(module).eval()

    def hook(name: str) -> Callable[[Any, Any, torch.Tensor], None]:
        def count(layer: Any, _: object, output: torch.Tensor) -> None:
            weight = layer.weight
            positions = output.numel() // weight.shape[0] * math.prod(weight.shape[2:])
            before = layers[name].positions if name in layers else 0  # a layer may run more than once
            layers[name] = LayerCost(before + positions, weight.shape[0], weight.shape[1], getattr(layer, "groups", 1))

        return count

    for name, layer in counted.named_modules():
        if isinstance(layer, weighted_kinds()):
            layer.register_forward_hook(hook(name))
    first = next(counted.parameters())
    with torch.no_grad():
        counted(torch.zeros(1, *declared.network_shape, dtype=first.dtype))
    whole = Cost(layers, groups)
    macs = multiply_accumulates(module, declared.network_shape).macs
    return whole if macs is None else replace(whole, rest=macs - whole.macs({}))


@dataclass(frozen=True)
class CutRules:
    """Rules for each group: units at the start and now, how finely it may be cut, ratios given for it."""

    groups: tuple[ChannelGroup, ...]
    initial: dict[str, int]
    grain: dict[str, int]  # what stays is a multiple of it
    fixed: dict[str, float]  # groups with a ratio of their own

    @classmethod
    def of(cls, groups: tuple[ChannelGroup, ...], round_to: int, fixed: dict[str, float]) -> CutRules:
        """The rules of a network before its first cut; ``round_to`` counts channels."""
        grain = {group.name: math.lcm(round_to, group.repeats) // group.repeats for group in groups}
        return cls(groups, {group.name: group.size for group in groups}, grain, fixed)

    def at(self, groups: tuple[ChannelGroup, ...], progress: float) -> CutRules:
        """The rules of a round that ends with a share of ``progress`` of all cuts, with the groups as they are now."""
        return CutRules(
            groups, self.initial, self.grain, {name: ratio * progress for name, ratio in self.fixed.items()}
        )

    def keep(self, group: ChannelGroup, ratio: float) -> int:
        """Units of a group that stay."""
        return units_kept(self.initial[group.name], ratio, self.grain[group.name], group.size)


def units_kept(initial: int, ratio: float, grain: int, now: int) -> int:
    """Units that stay of ``initial`` without a share of ``ratio``: rounded up to the grain, one grain at least.

    >>> units_kept(12, 0.5, 1, 12), units_kept(12, 0.5, 4, 12), units_kept(12, 0.99, 4, 12), units_kept(3, 0.5, 8, 3)
    (6, 8, 4, 3)
    """
    wanted = max(1, math.floor(initial * (1 - ratio) + 1e-9))
    return min(math.ceil(wanted / grain) * grain, now)


def local_plan(rules: CutRules, ratio: float) -> UnitsKept:
    """Every group loses the same share, or its own where it has one."""
    return {group.name: rules.keep(group, rules.fixed.get(group.name, ratio)) for group in rules.groups}


def global_plan(rules: CutRules, scores: Scores, ratio: float) -> UnitsKept:
    """The lowest scores of all groups together go, up to a share of all units; groups with an own ratio lose that.

    The best units of a group, one grain of them, are never taken: a layer without channels is no network.
    """
    free = [group for group in rules.groups if group.name not in rules.fixed]
    kept = local_plan(rules, 0.0)
    takable: list[tuple[float, int, int]] = []
    for group_index, group in enumerate(free):
        ordered = sorted(float(score) for score in scores[group.name])
        takable += [(score, group_index, unit) for unit, score in enumerate(ordered[: -rules.grain[group.name]])]
    total = sum(rules.initial[group.name] for group in free)
    spare = sum(group.size for group in free) - math.floor(total * (1 - ratio) + 1e-9)
    counts = np.bincount([group_index for _, group_index, _ in sorted(takable)[: max(0, spare)]], minlength=len(free))
    for group, lost in zip(free, counts, strict=True):
        grain = rules.grain[group.name]
        kept[group.name] = min(math.ceil((group.size - int(lost)) / grain) * grain, group.size)
    return kept


def meet_budget(plan: Callable[[float], UnitsKept], cost: Cost, budget: float, original: int) -> UnitsKept:
    """The mildest plan of at most ``budget`` multiply-accumulates, by bisection of its ratio.

    Raises:
        UserError: the strongest plan still needs more; says what can be reached.
    """
    low, high = 0.0, 1.0
    least = cost.macs(plan(high))
    if least > budget:
        raise unreachable(budget, least, original)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if cost.macs(plan(middle)) <= budget else (middle, high)
    return plan(high)


def unreachable(budget: float, least: int, original: int) -> UserError:
    """The error of a target that cannot be met."""
    what = f"macs = {budget / original:.4g} cannot be met: the smallest reachable share is {least / original:.4g}"
    return UserError.at("structured-prune", what, f"give macs = {math.ceil(1000 * least / original) / 1000:g} or more")


def least_damage(rules: CutRules, curves: Curves, cost: Cost, budget: float, original: int) -> dict[str, float]:
    """A ratio for each group so that the budget is met at little predicted damage.

    Greedy: again and again the group and ratio with the least added damage for each multiply-accumulate saved, then
    back as far as the budget allows, the most damage first. Damages of groups are taken to add up.

    Raises:
        UserError: the largest ratios of the curves do not save enough.
    """
    free = {group.name: 0.0 for group in rules.groups if group.name not in rules.fixed}
    ratios = rules.fixed | free
    levels = {name: {0.0: 0.0, **curves[name]} for name in free}

    def macs(name: str = "", ratio: float = 0.0) -> int:
        changed = ratios | ({name: ratio} if name else {})
        return cost.macs({group.name: rules.keep(group, changed[group.name]) for group in rules.groups})

    now = macs()
    while now > budget:
        stronger: list[tuple[float, int, str, float]] = []
        for name, ratio in _choices(levels, ratios, stronger=True):
            saved = now - macs(name, ratio)
            harm = max(0.0, levels[name][ratio] - levels[name][ratios[name]])
            if saved > 0:
                stronger.append((harm / saved, -saved, name, ratio))
        if not stronger:
            raise unreachable(budget, now, original)
        _, change, name, ratio = min(stronger)
        ratios[name], now = ratio, now + change
    relaxed = True
    while relaxed:
        milder = [
            (levels[name][ratio] - levels[name][ratios[name]], ratio, name)
            for name, ratio in _choices(levels, ratios, stronger=False)
            if macs(name, ratio) <= budget
        ]
        relaxed = bool(milder) and min(milder)[0] <= 0
        if relaxed:
            _, ratio, name = min(milder)
            ratios[name] = ratio
    return ratios


def _choices(levels: Curves, ratios: Mapping[str, float], *, stronger: bool) -> list[tuple[str, float]]:
    """Other ratios of single groups, above or below the present ones."""
    return [
        (name, ratio)
        for name, curve in levels.items()
        for ratio in sorted(curve)
        if (ratio > ratios[name] if stronger else ratio < ratios[name])
    ]


def weakest(scores: Scores, groups: tuple[ChannelGroup, ...], kept: UnitsKept) -> dict[str, list[int]]:
    """The units to remove: the lowest scores of each group, the first of equal ones.

    >>> group = ChannelGroup("conv", 3, 1, ())
    >>> weakest({"conv": np.array([2.0, 1.0, 3.0])}, (group,), {"conv": 2})
    {'conv': [1]}
    """
    order = {group.name: np.argsort(scores[group.name], kind="stable") for group in groups}
    return {
        group.name: sorted(int(unit) for unit in order[group.name][: group.size - kept[group.name]]) for group in groups
    }

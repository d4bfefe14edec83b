"""Structured pruning round by round: the ratios of each group, which units go, and what is left."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from bench.compression.base import StepContext
from bench.compression.batch_norm_reset import draw
from bench.compression.pruning.graph import Channels, History, find_channels, remove, widths
from bench.compression.pruning.importance import score_units
from bench.compression.pruning.options import PruningOptions
from bench.compression.pruning.plan import (
    CutRules,
    UnitsKept,
    cost_of,
    global_plan,
    least_damage,
    local_plan,
    meet_budget,
    weakest,
)
from bench.compression.pruning.sensitivity import scan
from bench.compression.seeding import own_seed
from bench.data.base import Samples
from bench.errors import UserError
from bench.functional.module_cost import multiply_accumulates, parameter_count
from bench.models.base import Recipe
from bench.models.training import train
from bench.networks.network import InputSpec, TorchNetwork
from bench.registry import nearest
from bench.stats.streams import derive_seed


def fixed_ratios(options: PruningOptions, channels: Channels) -> dict[str, float]:
    """The ratio of each group that has one of its own, by group.

    Raises:
        UserError: an unknown layer, one that cannot be pruned, or two ratios for layers that share their channels.
    """
    group_of = {maker: group.name for group in channels.groups for maker in group.makers}
    fixed: dict[str, float] = {}
    for layer, ratio in (options.layers or {}).items():
        where = f"layers.{layer}"
        if layer in channels.kept and ratio > 0:
            raise UserError.at(where, f"{layer!r} cannot be pruned: {channels.kept[layer]}", "leave it out")
        if layer not in group_of and layer not in channels.kept:
            raise UserError.at(where, f"no layer {layer!r}", nearest(layer, group_of))
        if layer in group_of:
            name = group_of[layer]
            if fixed.setdefault(name, ratio) != ratio:
                makers = ", ".join(next(group.makers for group in channels.groups if group.name == name))
                raise UserError.at(where, f"{makers} share their channels", "give them one ratio")
    if options.ratio is None and options.macs is None:
        fixed |= {group.name: 0.0 for group in channels.groups if group.name not in fixed}
    return fixed


def _original_macs(options: PruningOptions, network: TorchNetwork) -> int:
    """Multiply-accumulates before any cut; 0 where they cannot be counted and are no target."""
    macs, reason = multiply_accumulates(network.module, network.input.network_shape)
    if macs is None and options.macs is not None:
        what = f"the network's multiply-accumulates cannot be counted: {reason}"
        raise UserError.at("structured-prune", what, "give ratio instead of macs")
    return macs or 0


def cut_in_rounds(
    options: PruningOptions, network: TorchNetwork, context: StepContext, channels: Channels, rules: CutRules
) -> tuple[nn.Module, History, list[dict[str, Any]]]:
    """Cut all rounds on a copy; the module, its whole history, and groups cut and multiply-accumulates of each round.

    Raises:
        UserError: a share of multiply-accumulates is asked and they cannot be counted, or it cannot be met.
    """
    module = copy.deepcopy(network.module)
    original = _original_macs(options, network)
    history: History = []
    rounds: list[dict[str, Any]] = []
    groups = channels.groups
    for number in range(1, options.rounds + 1):
        if number > 1:
            module = _between(options, module, network.input, context, number)
            groups = find_channels(module, network.input, channels.kept).groups
        now = rules.at(groups, number / options.rounds)
        seed = derive_seed("round", own_seed(context.seed, options.seed), number)
        kept, chosen = _choose(options, module, network.input, now, original, number / options.rounds, context, seed)
        module, cut = remove(module, network.input, groups, chosen)
        history += cut
        macs = multiply_accumulates(module, network.input.network_shape).macs
        rounds.append({"groups": len(cut), "macs": macs})
        context.progress(f"round {number}/{options.rounds}: {sum(kept.values())} channels kept")
    if options.macs is not None and rounds[-1]["macs"] > options.macs * original:
        raise RuntimeError(f"{rounds[-1]['macs']} of {original} multiply-accumulates remain: the cost model is wrong")
    return module, history, rounds


def _choose(
    options: PruningOptions,
    module: nn.Module,
    declared: InputSpec,
    now: CutRules,
    original: int,
    progress: float,
    context: StepContext,
    seed: int,
) -> tuple[UnitsKept, dict[str, list[int]]]:
    """Units that stay, and which go, in one round."""
    pruned = tuple(group for group in now.groups if now.fixed.get(group.name) != 0)
    scores = score_units(module, pruned, options.importance, declared, _labelled(options, context), seed)

    def plan(ratio: float) -> UnitsKept:
        return global_plan(now, scores, ratio) if options.global_pruning else local_plan(now, ratio)

    if options.macs is None or options.allocation == "sensitivity":
        kept = plan((options.ratio or 0.0) * progress)
    else:
        budget = original * (1 - (1 - options.macs) * progress)
        kept = meet_budget(plan, cost_of(module, declared, now.groups), budget, original)
    return kept, weakest(scores, pruned, kept)


def _between(
    options: PruningOptions, module: nn.Module, declared: InputSpec, context: StepContext, number: int
) -> nn.Module:
    if not options.finetune_epochs:
        return module
    recipe = Recipe(epochs=options.finetune_epochs, learning_rate=options.finetune_learning_rate)
    seed = derive_seed("between", own_seed(context.seed, options.seed), number)
    return train(module, context.train, declared, recipe, seed, context.progress)


def ratios_by_sensitivity(
    options: PruningOptions, network: TorchNetwork, context: StepContext, channels: Channels, rules: CutRules
) -> dict[str, float]:
    """A ratio a group that meets the budget at little damage on the calibration samples.

    Raises:
        UserError: there are no calibration samples, or the budget cannot be met.
    """
    assert options.macs is not None
    if len(context.calibration) == 0:
        raise UserError.at("data.calibration", "sensitivity is measured on it, it is empty", "give 1 or more")
    free = Channels(tuple(g for g in channels.groups if g.name not in rules.fixed), channels.kept)
    seed = own_seed(context.seed, options.seed)
    scores = score_units(
        network.module, free.groups, options.importance, network.input, _labelled(options, context), seed
    )
    context.progress("measuring what each layer's pruning alone does")
    curves = scan(network, free, scores, context.calibration)
    cost = cost_of(network.module, network.input, channels.groups)
    original = cost.macs({})
    chosen = least_damage(rules, curves, cost, original * options.macs, original)
    return {name: ratio for name, ratio in chosen.items() if name not in rules.fixed}


def _labelled(options: PruningOptions, context: StepContext) -> Samples | None:
    """The samples of importance taylor: training samples with labels, else calibration samples."""
    if options.importance != "taylor":
        return None
    for part in (context.train, context.calibration):
        if len(part) > 1 and part.y is not None:
            return draw(part, options.taylor_samples, own_seed(context.seed, options.seed))
    return None


def report(before: TorchNetwork, after: nn.Module) -> dict[str, Any]:
    """Multiply-accumulates, parameters and widths before and after the cut."""
    shape = before.input.network_shape
    macs_before, macs_after = (multiply_accumulates(module, shape).macs for module in (before.module, after))
    return {
        "parameters_before": parameter_count(before.module),
        "parameters_after": parameter_count(after),
        "macs_before": macs_before,
        "macs_after": macs_after,
        "macs_share": macs_after / macs_before if macs_before and macs_after is not None else None,
        "widths_before": widths(before.module),
        "widths": widths(after),
    }

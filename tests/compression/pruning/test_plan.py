"""How many channels go: by hand, and against the real count of multiplications."""

import numpy as np
import pytest

from bench.compression.pruning.graph import ChannelGroup, Entry, find_channels, remove
from bench.compression.pruning.plan import (
    Cost,
    CutRules,
    LayerCost,
    cost_of,
    global_plan,
    least_damage,
    local_plan,
    meet_budget,
    units_kept,
    weakest,
)
from bench.errors import UserError
from bench.functional.module_cost import multiply_accumulates
from tests.compression.pruning.test_graph import IMAGE, SMALL, shaken


def chain():
    """Two groups in a row: input 1 -> a (4 units) -> b (10 units) -> 2 classes."""
    a = ChannelGroup("a", 4, 1, (Entry("a", "makes", tuple(range(4)), tuple(range(4))), reads("b", 4)))
    b = ChannelGroup("b", 10, 1, (Entry("b", "makes", tuple(range(10)), tuple(range(10))), reads("head", 10)))
    layers = {"a": LayerCost(1, 4, 1, 1), "b": LayerCost(1, 10, 4, 1), "head": LayerCost(1, 2, 10, 1)}
    return (a, b), Cost(layers, (a, b))


def reads(layer, size):
    return Entry(layer, "reads", tuple(range(size)), tuple(range(size)))


def test_cost_by_hand():
    _, cost = chain()
    assert cost.macs({}) == 4 + 40 + 20
    assert cost.macs({"a": 3, "b": 5}) == 3 + 15 + 10


@pytest.mark.parametrize("name", SMALL)
def test_predicted_costs_are_the_real_ones(name):
    network = shaken(name)
    groups = find_channels(network.module, IMAGE).groups
    cost = cost_of(network.module, IMAGE, groups)
    assert cost.macs({}) == multiply_accumulates(network.module, IMAGE.shape).macs
    draws = np.random.default_rng(0)
    for _ in range(3):
        kept = {group.name: int(draws.integers(1, group.size + 1)) for group in groups}
        chosen = {group.name: list(range(group.size - kept[group.name])) for group in groups}
        cut, _ = remove(network.module, IMAGE, groups, chosen)
        left = multiply_accumulates(cut, IMAGE.shape).macs
        # attention's own products shrink with its heads and are predicted as if they did not
        assert 0 <= cost.macs(kept) - left <= cost.rest
        assert (cost.rest > 0) == (name == "vit-tiny")


def test_local_and_own_ratios():
    groups, _ = chain()
    assert local_plan(CutRules.of(groups, 1, {}), 0.3) == {"a": 2, "b": 7}
    assert local_plan(CutRules.of(groups, 1, {"a": 0.0}), 0.3) == {"a": 4, "b": 7}
    assert local_plan(CutRules.of(groups, 4, {}), 0.3) == {"a": 4, "b": 8}
    assert units_kept(10, 0.7, 1, 10) == 3  # 10 · (1 − 0.7) is 3.0000000000000004 or 2.9999999999999996


def test_the_weakest_of_all_layers_go_but_never_a_whole_layer():
    groups, _ = chain()
    scores = {"a": np.array([0.1, 0.2, 0.3, 0.4]), "b": np.linspace(1, 2, 10)}
    assert global_plan(CutRules.of(groups, 1, {}), scores, 0.15) == {"a": 1, "b": 10}
    assert global_plan(CutRules.of(groups, 1, {}), scores, 0.5) == {"a": 1, "b": 6}
    assert global_plan(CutRules.of(groups, 1, {}), scores, 0.99) == {"a": 1, "b": 1}
    assert global_plan(CutRules.of(groups, 1, {"a": 0.25}), scores, 0.5) == {"a": 3, "b": 5}
    assert global_plan(CutRules.of(groups, 2, {}), scores, 0.3) == {"a": 2, "b": 8}
    assert weakest(scores, groups, {"a": 3, "b": 10}) == {"a": [0], "b": []}


def test_rounds_end_where_one_cut_would():
    groups, _ = chain()
    rules = CutRules.of(groups, 1, {"a": 0.5})
    assert local_plan(rules.at(groups, 0.5), 0.3) == {"a": 3, "b": 7}
    assert local_plan(rules.at(groups, 1.0), 0.6) == local_plan(rules, 0.6) == {"a": 2, "b": 4}


def test_the_mildest_plan_within_the_budget():
    groups, cost = chain()
    rules = CutRules.of(groups, 1, {})

    def plan(ratio):
        return local_plan(rules, ratio)

    for budget in range(cost.macs(plan(0.999)), 64):
        kept = meet_budget(plan, cost, budget, 64)
        assert cost.macs(kept) <= budget
        milder = [cost.macs(plan(ratio)) for ratio in np.linspace(0, 1, 500)]
        assert cost.macs(kept) >= max(found for found in milder if found <= budget)
    with pytest.raises(UserError, match=r"macs = 0.04688 cannot be met: the smallest reachable share is 0.0625"):
        meet_budget(plan, cost, 3, 64)


def test_least_damage_spends_where_it_hurts_least():
    groups, cost = chain()
    rules = CutRules.of(groups, 1, {})
    curves = {"a": {0.25: 9.0, 0.5: 9.0}, "b": {0.2: 0.1, 0.4: 0.2, 0.6: 5.0}}
    assert least_damage(rules, curves, cost, 60, 64) == {"a": 0.0, "b": 0.2}
    assert least_damage(rules, curves, cost, 40, 64) == {"a": 0.0, "b": 0.4}
    assert least_damage(CutRules.of(groups, 1, {"b": 0.0}), curves, cost, 60, 64) == {"a": 0.25, "b": 0.0}
    with pytest.raises(UserError, match="cannot be met: the smallest reachable share is"):
        least_damage(rules, curves, cost, 10, 64)


def test_least_damage_goes_back_as_far_as_the_budget_allows():
    """The cheapest jump saves far more than is asked; afterwards the ratio comes down again."""
    groups, cost = chain()
    curves = {"a": {0.25: 9.0}, "b": {0.1: 0.5, 0.9: 0.6}}
    assert least_damage(CutRules.of(groups, 1, {}), curves, cost, 60, 64) == {"a": 0.0, "b": 0.1}

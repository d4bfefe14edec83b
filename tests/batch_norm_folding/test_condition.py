"""Roots, leaves and obstacles on graphs that a person can follow."""

import numpy as np
import pytest

from bench.batch_norm_folding.condition import Obstacle, reach
from bench.batch_norm_folding.shifts import shifts
from bench.batch_norm_folding.structure import FoldingGraph, FoldingNode, Role


def graph(*nodes, outputs=("out",), **channels):
    """Nodes as (name, role, inputs); each makes a value of its own name, with two channels unless told otherwise."""
    made = []
    for name, role, inputs, *more in nodes:
        made.append(FoldingNode(name, Role[role], tuple(inputs.split()), (name,), name, **(more[0] if more else {})))
    widths = {node.name: 2 for node in made} | {"x": 2} | channels
    return FoldingGraph(tuple(made), widths, frozenset(outputs))


def names(nodes):
    return sorted(node.name for node in nodes)


RESIDUAL = graph(
    ("a", "LAYER", "x"),
    ("b", "LAYER", "x"),
    ("sum", "ADD", "a b"),
    ("bn", "NORM", "sum"),
    ("other", "LAYER", "b"),
    ("relu", "BARRIER", "bn"),
    ("out", "LAYER", "relu"),
    ("out2", "LAYER", "other"),
    outputs=("out", "out2"),
)


def test_a_sum_brings_in_its_other_maker_and_that_one_its_other_reader():
    found = reach(RESIDUAL, "bn", "backward")
    assert names(found.roots) == ["a", "b"]
    assert names(found.leaves) == ["other"]
    with pytest.raises(Obstacle, match="relu reads what would change"):
        reach(RESIDUAL, "bn", "forward")


def test_the_shifts_of_a_sum_add_up_to_the_batch_norms_own():
    found = reach(RESIDUAL, "bn", "backward")
    dealt = shifts(RESIDUAL, found, np.array([3.0, 0.0]))
    np.testing.assert_allclose(dealt["a"] + dealt["b"], [3.0, 0.0])
    assert dealt["sum"].tolist() == [3.0, 0.0]


def test_a_shift_avoids_zero_padding_where_another_root_can_carry_it():
    padded = graph(
        ("a", "LAYER", "x"),
        ("b", "LAYER", "x"),
        ("sum", "ADD", "a b"),
        ("bn", "NORM", "sum"),
        ("padded", "LAYER", "b", {"zero_padded": True}),
        ("out", "BARRIER", "bn padded"),
    )
    dealt = shifts(padded, reach(padded, "bn", "backward"), np.array([3.0, -1.0]))
    assert dealt["a"].tolist() == [3.0, -1.0]
    assert dealt["b"].tolist() == [0.0, 0.0]


def test_zero_padding_takes_a_scale_and_no_shift():
    padded = graph(("bn", "NORM", "x"), ("conv", "LAYER", "bn", {"zero_padded": True}), ("out", "BARRIER", "conv"))
    found = reach(padded, "bn", "forward")
    assert shifts(padded, found, np.zeros(2))["bn"].tolist() == [0.0, 0.0]
    with pytest.raises(Obstacle, match="zeros that pad conv"):
        shifts(padded, found, np.array([0.0, 1.0]))


def test_forward_another_maker_cancels_the_shift_before_zero_padding():
    joined = graph(
        ("bn", "NORM", "x"),
        ("b", "LAYER", "x"),
        ("sum", "ADD", "bn b"),
        ("conv", "LAYER", "sum", {"zero_padded": True}),
        ("out", "BARRIER", "conv"),
    )
    dealt = shifts(joined, reach(joined, "bn", "forward"), np.array([2.0, 5.0]))
    assert dealt["bn"].tolist() == [2.0, 5.0]
    assert dealt["b"].tolist() == [-2.0, -5.0]
    assert dealt["sum"].tolist() == [0.0, 0.0]


def test_one_maker_by_two_ways_carries_half_each():
    twice = graph(
        ("a", "LAYER", "x"), ("pool", "PASS", "a"), ("sum", "ADD", "a pool"), ("bn", "NORM", "sum"),
        ("out", "BARRIER", "bn"),
    )  # fmt: skip
    dealt = shifts(twice, reach(twice, "bn", "backward"), np.array([4.0, 1.0]))
    np.testing.assert_allclose(dealt["a"], [2.0, 0.5])


def test_a_concatenation_hands_each_maker_its_own_channels():
    joined = graph(
        ("a", "LAYER", "x"),
        ("b", "LAYER", "x"),
        ("cat", "CONCAT", "a b"),
        ("bn", "NORM", "cat"),
        ("part", "LAYER", "b"),
        ("out", "BARRIER", "bn part"),
        b=3, cat=5, bn=5,
    )  # fmt: skip
    found = reach(joined, "bn", "backward")
    assert found.source["a"].tolist() == [0, 1]
    assert found.source["b"].tolist() == [2, 3, 4]
    assert names(found.leaves) == ["part"]
    with pytest.raises(Obstacle, match="cat is in the way"):
        reach(joined, "bn", "backward", across_concatenation=False)


def test_a_concatenation_is_touched_only_where_the_batch_norm_is():
    joined = graph(
        ("a", "LAYER", "x"),
        ("max", "BARRIER", "x"),
        ("cat", "CONCAT", "max a"),
        ("bn", "NORM", "a"),
        ("reader", "LAYER", "cat"),
        ("out", "BARRIER", "bn reader"),
        cat=4,
    )
    found = reach(joined, "bn", "backward")
    assert found.source["cat"].tolist() == [-1, -1, 0, 1]
    assert names(found.roots) == ["a"]


def test_flattening_repeats_channels_and_cannot_be_undone_with_several_maps():
    flat = graph(
        ("a", "LAYER", "x"), ("bn", "NORM", "a"), ("flat", "PASS", "bn", {"repeat": 3}), ("bn2", "NORM", "flat"),
        ("out", "LAYER", "bn2"), flat=6, bn2=6,
    )  # fmt: skip
    found = reach(flat, "bn", "forward")
    assert found.source["flat"].tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(Obstacle, match="flat makes several features"):
        reach(flat, "bn2", "backward")


@pytest.mark.parametrize(
    ("nodes", "direction", "reason"),
    [
        ([("bn", "NORM", "x"), ("out", "LAYER", "bn")], "backward", "the network's input"),
        ([("a", "LAYER", "x"), ("out", "NORM", "a")], "forward", "the network's output"),
        ([("a", "BARRIER", "x"), ("bn", "NORM", "a"), ("out", "LAYER", "bn")], "backward", "a makes what"),
        (
            [("a", "LAYER", "x"), ("bn", "NORM", "a"), ("m", "BARRIER", "a"), ("out", "LAYER", "bn")],
            "backward",
            "m reads what",
        ),
        (
            [("a", "LAYER", "x"), ("bn", "NORM", "a"), ("sum", "ADD", "a bn"), ("out", "LAYER", "sum")],
            "backward",
            "its own output comes back",
        ),
        (
            [("a", "LAYER", "x"), ("bn", "NORM", "a"), ("sum", "ADD", "a bn"), ("out", "LAYER", "sum")],
            "forward",
            "its own output comes back",
        ),
        (
            [
                ("a", "LAYER", "x"),
                ("p", "CONCAT", "a a"),
                ("q", "PASS", "p"),
                ("bn", "NORM", "q"),
                ("out", "LAYER", "bn"),
            ],
            "backward",
            "two of its channels meet",
        ),
    ],
)
def test_what_is_in_the_way(nodes, direction, reason):
    norm = next(name for name, role, _ in nodes if role == "NORM")
    widths = {"p": 4, "q": 4, "bn": 4} if any(name == "p" for name, _, _ in nodes) else {}
    with pytest.raises(Obstacle, match=reason):
        reach(graph(*nodes, **widths), norm, direction)


def test_a_layer_may_both_make_and_read():
    """A residual branch without a rectifier: its layer undoes the map before and applies it behind itself."""
    inside = graph(
        ("a", "LAYER", "x"), ("b", "LAYER", "a"), ("sum", "ADD", "a b"), ("bn", "NORM", "sum"), ("out", "BARRIER", "bn")
    )
    found = reach(inside, "bn", "backward")
    assert names(found.roots) == ["a", "b"]
    assert names(found.leaves) == ["b"]

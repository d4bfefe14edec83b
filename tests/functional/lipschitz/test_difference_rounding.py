"""How far a network that rounds can be from one that does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Add, Dense, Input, Quantise, Scale
from bench.errors import NotApplicable
from bench.functional.lipschitz.difference.aligned import aligned
from bench.functional.lipschitz.difference.levelled import levelled
from bench.functional.lipschitz.difference.methods import difference_bounds
from bench.functional.lipschitz.difference.telescoping import telescoping
from bench.functional.lipschitz.difference.upper_bounds import OnRegion, Pair
from bench.functional.lipschitz.regions import around
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import interval_bounds
from bench.functional.lipschitz.relaxations.linear import linear_bounds
from bench.functional.lipschitz.relaxations.quantiser_lines import quantiser_lines, rounded_range
from tests.functional.lipschitz.networks import convolutional, dense, points, values_of
from tests.functional.lipschitz.test_difference import changed, tried


def rounding(graph: Graph, step: float, high: float = 4.0, low: float = 0.0) -> Graph:
    """The network with a quantiser of its input, and one behind each ReLU."""
    nodes, places = [graph.nodes[0]], {0: 0}

    def quantiser(name, low):
        scale, floor, ceiling = (torch.tensor(value).double() for value in (step, low, high))
        ends = {"scale": scale, "low": floor, "high": ceiling}
        nodes.append(Quantise(name=name, inputs=(len(nodes) - 1,), shape=nodes[-1].shape, **ends))

    quantiser("input", -high)
    places[0] = 1
    for place, node in enumerate(graph.nodes[1:], start=1):
        nodes.append(replace(node, inputs=tuple(places[k] for k in node.inputs)))
        if isinstance(node, Activation):
            quantiser(node.name, low)
        places[place] = len(nodes) - 1
    return Graph(tuple(nodes))


def in_codes(graph: Graph) -> Graph:
    """The same function on integers: inputs over their step, weights times theirs, ReLUs left to the quantisers."""
    nodes, unit, places = [graph.nodes[0]], {0: 1.0}, {0: 0}
    for place, node in enumerate(graph.nodes[1:], start=1):
        (before,) = node.inputs
        inputs = (places[before],)
        if isinstance(node, Quantise):
            step = float(node.scale)
            if before == 0:
                factor = torch.tensor(1.0 / step).double()
                nodes.append(Scale(name="codes", inputs=inputs, shape=node.shape, factor=factor))
                inputs = (len(nodes) - 1,)
            one = torch.tensor(1.0).double()
            nodes.append(replace(node, inputs=inputs, scale=one, low=node.low / step, high=node.high / step))
            unit[place] = step
        elif isinstance(node, Activation):
            places[place], unit[place] = places[before], unit[before]
            continue
        else:
            last = place == len(graph.nodes) - 1
            out = 1.0 if last else float(graph.nodes[place + 2].scale)
            bias = node.bias / out
            nodes.append(replace(node, inputs=inputs, weight=node.weight * unit[before] / out, bias=bias))
            unit[place] = out
        places[place] = len(nodes) - 1
    return Graph(tuple(nodes))


@pytest.mark.parametrize("step", [1 / 64, 0.25])
def test_every_bound_holds_beside_inputs_that_were_tried(step) -> None:
    for seed in range(4):
        f = dense(seed) if seed < 3 else convolutional(seed, "skip")
        g = rounding(changed(f, "noise", seed), step, high=1.0 if seed == 1 else 4.0)
        for radius in (0.02, 0.4):
            region = around(np.random.default_rng(seed).normal(size=f.nodes[0].size) / 2, radius)
            for first, second in ((f, g), (g, f)):
                bounds, skipped = difference_bounds(first, second, region, norms=["l2"], starts=2, steps=5)
                assert [item.method for item in skipped] == ["mixed-integer"]
                most = float(tried(first, second, region, seed).norm(dim=1).max())
                for bound in bounds:
                    if bound.kind == "certified":
                        assert bound.value >= most, bound


def test_of_two_networks_that_round_the_tail_has_no_constant() -> None:
    f = rounding(dense(0), 0.1)
    region = around(np.zeros(4), 0.1)
    with pytest.raises(NotApplicable, match="both networks round"):
        telescoping(*OnRegion(Pair(f, rounding(dense(0), 0.2)), region).values, np.eye(3))
    bounds, _ = difference_bounds(f, rounding(dense(0), 0.2), region, norms=["l2"], methods=["delta-CROWN"])
    assert bounds[0].value >= float(tried(f, rounding(dense(0), 0.2), region, 0).norm(dim=1).max())


def test_a_skip_that_passes_a_quantiser_by_has_no_tail() -> None:
    """Behind the quantised input stands the branch alone: a change that only some layers see."""
    random = torch.Generator().manual_seed(0)
    entry, weight = Input(name="input", shape=(1, 4)), torch.randn(4, 4, generator=random, dtype=torch.float64)
    inputs = {"name": "layer", "shape": (1, 4)}
    branch, skip = Dense(inputs=(0,), weight=weight, **inputs), Add(inputs=(0, 1), coefficients=(1.0, 1.0), **inputs)
    f = Graph((entry, branch, skip))
    step, low, high = (torch.tensor(value).double() for value in (0.25, -4.0, 4.0))
    rounded = Quantise(inputs=(0,), scale=step, low=low, high=high, **inputs)
    g = Graph((entry, rounded, replace(branch, inputs=(1,)), replace(skip, inputs=(0, 2))))
    region = around(np.full(4, 0.1), 0.3)
    bounds, skipped = difference_bounds(f, g, region, norms=["l2"], starts=2, steps=5)
    assert {item.method for item in skipped} == {"telescoping", "mixed-integer"}
    assert "some layers take its value" in skipped[0].reason
    most = float(tried(f, g, region, 0).norm(dim=1).max())
    assert min(bound.value for bound in bounds if bound.kind == "certified") >= most > 0


def test_finer_steps_are_nearer() -> None:
    f, last = dense(2), np.inf
    region = around(np.zeros(4), 0.1)
    for step in (0.5, 0.1, 0.01):
        bounds, _ = difference_bounds(f, rounding(f, step), region, norms=["l2"])
        certified = min(bound.value for bound in bounds if bound.kind == "certified")
        lower = next(bound.value for bound in bounds if bound.kind == "lower")
        assert 0 < lower <= certified < last
        last = certified


@pytest.mark.parametrize("step", [0.125, 0.1])
def test_integers_are_brought_to_the_units_of_the_other_network(step) -> None:
    f = dense(0)
    rounded = rounding(changed(f, "noise"), step)
    g = in_codes(rounded)
    with pytest.raises(NotApplicable):
        aligned(f, g)
    first, second = levelled(f, g)
    assert len(aligned(first, second)) == len(second.nodes)
    assert [type(node) for node in second.nodes] == [type(node) for node in rounded.nodes]
    x = torch.rand(200, 1, 4, dtype=torch.float64) * 2 - 1
    apart = (second(x) - g(x)).abs().flatten(1).amax(dim=1)
    assert float(apart.median()) < 1e-12  # a tie may fall to either side
    turned = levelled(g, f)
    assert [type(node) for node in turned[0].nodes] == [type(node) for node in rounded.nodes]


def test_a_range_that_does_not_begin_at_zero_is_no_relu() -> None:
    f = dense(0)
    nodes = list(in_codes(rounding(changed(f, "noise"), 0.125)).nodes)
    place = next(k for k, node in enumerate(nodes) if isinstance(node, Quantise) and k > 3)
    nodes[place] = replace(nodes[place], low=torch.tensor(-1.0).double())
    g = Graph(tuple(nodes))
    assert levelled(f, g)[1].nodes[1] is g.nodes[1]
    region = around(np.zeros(4), 0.1)
    bounds, skipped = difference_bounds(f, g, region, norms=["l2"])
    assert {"telescoping", "delta-interval", "delta-CROWN"} <= {item.method for item in skipped}
    most = float(tried(f, g, region, 0).norm(dim=1).max())
    assert min(bound.value for bound in bounds if bound.kind == "certified") >= most


def test_lines_and_intervals_of_a_quantiser_hold_its_values() -> None:
    random = np.random.default_rng(0)
    size = 400
    scale = torch.from_numpy(random.choice([0.01, 0.1, 1.0], size))
    low = torch.from_numpy(np.where(random.random(size) < 0.2, -np.inf, -random.integers(0, 9, size))) * scale
    high = torch.from_numpy(np.where(random.random(size) < 0.2, np.inf, random.integers(0, 9, size))) * scale
    zero = torch.from_numpy(random.choice([0.0, 3.0, 0.25], size))
    node = Quantise(name="q", inputs=(0,), shape=(size,), scale=scale, low=low, high=high, zero=zero)
    for width in (0.0, 0.01, 1.0, 20.0):
        begin = torch.from_numpy(random.normal(size=size)) * scale * 5
        ends = Ends(begin, begin + width * scale)
        after = rounded_range(node, ends)
        lines = quantiser_lines(node, ends, after)
        z = begin + torch.linspace(0, 1, 41, dtype=torch.float64)[:, None] * (ends.high - ends.low)
        value = node(z)
        slack = 1e-12 * (1 + value.abs())
        assert (after.low <= value + slack).all()
        assert (value <= after.high + slack).all()
        assert (lines.slope_below * z + lines.cut_below <= value + slack).all()
        assert (value <= lines.slope_above * z + lines.cut_above + slack).all()


def test_intervals_and_lines_hold_all_values_of_a_network_that_rounds() -> None:
    for seed in range(3):
        graph = rounding(dense(seed), 0.125)
        region = around(np.random.default_rng(seed).normal(size=4), 0.3)
        values = values_of(graph, points(region, 300, np.random.default_rng(seed)))
        for ends in (interval_bounds(graph, region), linear_bounds(graph, region)):
            for value, (low, high) in zip(values, ends, strict=True):
                assert (low - 1e-12 <= value).all()
                assert (value <= high + 1e-12).all()

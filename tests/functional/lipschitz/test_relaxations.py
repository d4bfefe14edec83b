"""Intervals and lines of every node: no input of the region leads outside, in exact arithmetic too."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Input, MaxPool, Nonlinear
from bench.errors import NotApplicable
from bench.functional.lipschitz.regions import Ball, Box, around, checked, enclosing_box
from bench.functional.lipschitz.relaxations.activation_lines import lines_on
from bench.functional.lipschitz.relaxations.activation_ranges import range_on
from bench.functional.lipschitz.relaxations.activation_slopes import slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import interval_bounds
from bench.functional.lipschitz.relaxations.linear import linear_bounds
from bench.functional.lipschitz.relaxations.windows import windows
from tests.functional.lipschitz.networks import (
    ACTIVATIONS,
    CONVOLUTIONAL,
    convolutional,
    dense,
    form,
    points,
    sample_of,
    values_of,
)

BOUNDS = {
    "intervals": interval_bounds,
    "lines": lambda graph, region: linear_bounds(graph, region, every=True),
    "lines at the output": lambda graph, region: linear_bounds(graph, region, "interval"),
    "lines where it bends": linear_bounds,
}


def region_of(graph, seed, radius, domain):
    return around(sample_of(graph, seed), radius, domain)


def hold(graph, region, seed, rounding=1e-12):
    """All bounds hold all values of many points; lines are never wider than intervals."""
    values = values_of(graph, points(region, 400, np.random.default_rng(seed)))
    found = {name: bound(graph, region) for name, bound in BOUNDS.items()}
    for ends in found.values():
        for value, (low, high) in zip(values, ends, strict=True):
            room = rounding * (1 + value.abs())
            assert (low - room <= value).all()
            assert (value <= high + room).all()
    for narrow, wide in zip(found["lines"], found["intervals"], strict=True):
        assert (narrow.low >= wide.low - rounding * (1 + wide.magnitude)).all()
        assert (narrow.high <= wide.high + rounding * (1 + wide.magnitude)).all()
    return found


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("domain", ["box", "ball"])
def test_dense_networks(activation, domain) -> None:
    for seed, radius in enumerate((0.0, 0.01, 0.3, 3.0)):
        graph = dense(seed, activation=activation)
        hold(graph, region_of(graph, seed, radius, domain), seed)


@pytest.mark.parametrize("kind", CONVOLUTIONAL)
@pytest.mark.parametrize("domain", ["box", "ball"])
def test_convolutional_networks(kind, domain) -> None:
    for seed, radius in enumerate((0.01, 0.2, 2.0)):
        graph = convolutional(seed, kind)
        found = hold(graph, region_of(graph, seed, radius, domain), seed)
        if radius == 0.2:
            widths = {name: float((ends[-1].high - ends[-1].low).sum()) for name, ends in found.items()}
            assert widths["lines"] < 0.95 * widths["intervals"]


@pytest.mark.parametrize("logarithm", [False, True])
def test_softmax(logarithm) -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.LogSoftmax(1) if logarithm else nn.Softmax(1))
    for seed, radius in enumerate((0.1, 1.0)):
        torch.manual_seed(seed)
        graph = form(module, (4,))
        found = hold(graph, region_of(graph, seed, radius, "box"), seed)
        if not logarithm:
            assert 0 <= float(found["intervals"][-1].low.min()) < float(found["intervals"][-1].high.max()) < 1 + 1e-9


def activation(name, size):
    node = form(ACTIVATIONS[name](), (1,)).nodes[-1]
    assert isinstance(node, Activation)
    return Activation(name=name, inputs=(0,), shape=(1, size), function=node.function, parameters=node.parameters)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_ranges_and_lines_of_activations(name) -> None:
    """On many intervals: of 300 points each, the difference quotients, the values and both lines."""
    random = np.random.default_rng(0)
    middle, half = random.normal(size=600) * 3, 10.0 ** random.uniform(-6, 1, size=600)
    ends = Ends(torch.from_numpy(middle - half), torch.from_numpy(middle + half))
    node = activation(name, 600)
    inside = torch.from_numpy(random.random((300, 600))).sort(dim=0).values
    inside[0], inside[-1] = 0, 1
    z = ends.low + inside * (ends.high - ends.low)
    z[-1] = ends.high
    value = node(z)
    slopes, around_it, lines = slopes_on(node, ends), range_on(node, ends), lines_on(node, ends)
    run, rise = z[1:] - z[:-1], value[1:] - value[:-1]
    lost = 1e-14 * (1 + value.abs().amax(dim=0))
    if "softplus" in name:
        lost = lost + 2.1e-9  # torch leaves out log(1 + e^−20) beyond a threshold: slopes are of the function itself
    assert (rise >= slopes.alpha * run - lost).all()
    assert (rise <= slopes.beta * run + lost).all()
    assert (value >= around_it.low - lost).all()
    assert (value <= around_it.high + lost).all()
    room = 1e-14 * (1 + value.abs() + z.abs())
    assert (value >= lines.slope_below * z + lines.cut_below - room).all()
    assert (value <= lines.slope_above * z + lines.cut_above + room).all()
    wide = slopes_on(node, Ends(torch.full((600,), -torch.inf).double(), torch.full((600,), torch.inf).double()))
    assert (wide.alpha <= slopes.alpha).all()
    assert (slopes.beta <= wide.beta).all()


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu", "silu", "softplus", "elu", "hardswish", "selu"])
def test_slopes_of_short_intervals_are_the_derivative(name) -> None:
    z = torch.linspace(-4, 4, 161).double().requires_grad_()
    node = activation(name, 161)
    (derivative,) = torch.autograd.grad(node(z).sum(), z)
    z = z.detach()
    found = slopes_on(node, Ends(z - 1e-9, z + 1e-9))
    smooth = (found.beta - found.alpha) < 1e-7
    assert smooth.sum() >= 158  # not at kinks
    torch.testing.assert_close(found.alpha[smooth], derivative[smooth], atol=1e-7, rtol=0)


def test_a_clamp_may_have_ends_of_its_own_for_each_channel() -> None:
    low, high = torch.tensor([-1.0, 0.0]).double().reshape(1, 2, 1), torch.tensor([0.5, 2.0]).double().reshape(1, 2, 1)
    fields = {"name": "a", "inputs": (0,), "function": "clamp"}
    together = Activation(shape=(1, 2, 3), parameters=(low, high), **fields)
    z = torch.linspace(-2, 2, 6).double()
    ends = Ends(z - 0.6, z + 0.6)
    for channel, places in enumerate((slice(0, 3), slice(3, 6))):
        alone = Activation(shape=(1, 3), parameters=(float(low[0, channel, 0]), float(high[0, channel, 0])), **fields)
        part = Ends(ends.low[places], ends.high[places])
        for rule in (slopes_on, range_on, lines_on):
            for whole, own in zip(rule(together, ends), rule(alone, part), strict=True):
                assert torch.equal(whole[places], own)


@pytest.mark.parametrize("seed", range(12))
def test_windows_are_those_of_max_pooling(seed) -> None:
    """Kernels, strides, paddings and dilations of all kinds: the largest of each window's entries is torch's."""
    random = np.random.default_rng(seed)
    kernel, stride, dilation = (tuple(map(int, random.integers(1, 4, size=2))) for _ in range(3))
    padding = tuple(int(random.integers(0, size // 2 + 1)) for size in kernel)
    pool = nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=bool(seed % 2))
    shape = (1, 2, 9, 8)
    x = torch.from_numpy(random.normal(size=shape))
    node = MaxPool(
        name="a", inputs=(0,), shape=tuple(pool(x).shape), kernel=kernel, stride=stride, padding=padding,
        dilation=dilation, ceil=bool(seed % 2),
    )  # fmt: skip
    places = windows(node, shape)
    padded = torch.cat([torch.tensor([-torch.inf]).double(), x.reshape(-1)])
    assert torch.equal(padded[places].amax(dim=1), pool(x).reshape(-1))


def test_lines_of_a_relu_are_its_triangle() -> None:
    low, high = torch.tensor([-2.0, -1.0, -3.0, 1.0]).double(), torch.tensor([1.0, 2.0, -1.0, 2.0]).double()
    lines = lines_on(activation("relu", 4), Ends(low, high))
    torch.testing.assert_close(lines.slope_below, torch.tensor([0.0, 1.0, 0.0, 1.0]).double())
    torch.testing.assert_close(lines.slope_above, torch.tensor([1 / 3, 2 / 3, 0.0, 1.0]).double())
    torch.testing.assert_close(lines.cut_above, torch.tensor([2 / 3, 2 / 3, 0.0, 0.0]).double())
    assert (lines.cut_below == 0).all()


def exact(layers, x):
    """The pre-activations of a ReLU network in rational arithmetic."""
    found = []
    for number, (weight, bias) in enumerate(layers):
        x = [max(value, Fraction(0)) for value in x] if number else x
        x = [sum((w * v for w, v in zip(row, x, strict=True)), b) for row, b in zip(weight, bias, strict=True)]
        found.append(x)
    return found


@pytest.mark.parametrize("domain", ["box", "ball"])
def test_bounds_hold_in_rational_arithmetic(domain) -> None:
    """Regions of one point, or hardly more, of networks whose sums cancel: an interval rounded inward would miss."""
    for seed in range(6):
        random = np.random.default_rng(seed)
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2)).double()
        for layer in (0, 2, 4):
            module[layer].weight.data *= 10.0 ** torch.randint(-3, 4, module[layer].weight.shape).double()
            module[layer].bias.data *= 10.0 ** (3 * (seed % 3))  # constants alone may be what is rounded
        graph = form(module.float(), (5,))
        centre = random.normal(size=5)
        layers = [
            (
                [[Fraction(float(w)) for w in row] for row in node.weight],
                [Fraction(float(b)) for b in node.bias.reshape(-1)],
            )
            for node in graph.nodes
            if hasattr(node, "weight")
        ]
        places = [place for place, node in enumerate(graph.nodes) if hasattr(node, "weight")]
        for radius in (0.0, 1e-15, 0.1):
            region = Ball(centre, radius) if domain == "ball" else Box(centre - radius, centre + radius)
            inside = [centre]
            if radius and domain == "box":
                inside += [np.where(random.random(5) < 0.5, region.low, region.high) for _ in range(20)]
            for bound in BOUNDS.values():
                ends = bound(graph, region)
                for x in inside:
                    for place, value in zip(places, exact(layers, [Fraction(float(v)) for v in x]), strict=True):
                        for low, high, own in zip(*ends[place], value, strict=True):
                            assert Fraction(float(low)) <= own <= Fraction(float(high))


def test_a_larger_network_keeps_intervals_where_there_are_too_many_neurons() -> None:
    graph = convolutional(0, "skip")
    region = region_of(graph, 0, 0.3, "box")
    few, all_of_them = linear_bounds(graph, region, most=10), linear_bounds(graph, region)
    intervals = interval_bounds(graph, region)
    first = graph.nodes[graph.nonlinear[1]].inputs[0]
    assert torch.equal(few[first].low, intervals[first].low)
    assert (all_of_them[first].low > intervals[first].low).any()
    assert (few[-1].high < intervals[-1].high).all()


class Unknown(Nonlinear):
    def __call__(self, *values):
        return values[0]


def test_a_node_without_a_rule_is_named() -> None:
    nodes = (Input(name="input", shape=(1, 2)), Unknown(name="odd", inputs=(0,), shape=(1, 2)))
    for bound in (interval_bounds, linear_bounds):
        with pytest.raises(NotApplicable, match="odd: Unknown has no rule for intervals"):
            bound(Graph(nodes), Box(np.zeros(2), np.ones(2)))


def test_regions_that_do_not_fit_are_refused() -> None:
    for region, why in (
        (Box(np.zeros(2), np.ones(2)), "for 3 inputs"),
        (Box(np.ones(3), np.zeros(3)), "low end exceeds its high end at 3 inputs"),
        (Ball(np.zeros(2), 1.0), "2 numbers for 3 inputs"),
        (Ball(np.zeros(3), -1.0), "radius -1.0"),
        (Ball(np.array([0.0, np.nan, 0.0]), 1.0), "finite ones are needed"),
    ):
        with pytest.raises(ValueError, match=why):
            checked(region, 3)
    with pytest.raises(ValueError, match="'cube' is no region"):
        around(np.zeros(2), 1.0, "cube")
    box = enclosing_box(Ball(np.array([1.0, -3.0]), 0.1))
    assert (box.low <= [0.9, -3.1]).all()
    assert (box.high >= [1.1, -2.9]).all()

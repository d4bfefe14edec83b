"""How far two networks can be apart: every bound from above beside inputs that were tried, and exact maxima."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, milp
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench.canonical_form.graph import Graph
from bench.canonical_form.joint import joined, joint
from bench.canonical_form.nodes import Activation, Convolution, Dense
from bench.errors import NotApplicable
from bench.functional.lipschitz.difference import mixed_integer
from bench.functional.lipschitz.difference.aligned import aligned
from bench.functional.lipschitz.difference.ascent import farthest
from bench.functional.lipschitz.difference.bound import DifferenceBound, enclosing
from bench.functional.lipschitz.difference.delta_interval import delta_intervals
from bench.functional.lipschitz.difference.difference_lines import chord
from bench.functional.lipschitz.difference.kept import class_kept, least_margins, margin_rows
from bench.functional.lipschitz.difference.methods import difference_bounds
from bench.functional.lipschitz.difference.scale_constant import difference_at_scale
from bench.functional.lipschitz.difference.upper_bounds import METHODS, OnRegion, Pair
from bench.functional.lipschitz.regions import Ball, Box, around
from bench.functional.lipschitz.relaxations.activation_slopes import Slopes
from bench.functional.lipschitz.relaxations.ends import Ends
from bench.functional.lipschitz.relaxations.intervals import interval_bounds
from tests.functional.lipschitz.networks import CONVOLUTIONAL, SHAPE, convolutional, dense, form, points

CHEAP = [name for name in METHODS if name != "mixed-integer"]


def changed(graph: Graph, how: str, seed: int = 0) -> Graph:
    """A network of the same layers with other weights."""
    random = torch.Generator().manual_seed(seed)

    def weight(w):
        if how in ("noise", "slight"):
            return w + (0.02 if how == "noise" else 1e-4) * torch.randn(w.shape, generator=random, dtype=torch.float64)
        if how == "rounded":
            step = w.abs().max() / 7
            return torch.round(w / step) * step
        return torch.where(w.abs() < w.abs().quantile(0.4), 0.0, w)

    nodes = [
        replace(node, weight=weight(node.weight)) if isinstance(node, Dense | Convolution) else node
        for node in graph.nodes
    ]
    return Graph(tuple(nodes))


def tried(f: Graph, g: Graph, region, seed: int) -> torch.Tensor:
    """``f − g`` at many points of a region, (m, outputs)."""
    x = points(region, 400, np.random.default_rng(seed)).reshape(400, *f.nodes[0].shape)
    with torch.no_grad():
        return (f(x) - g(x)).flatten(1)


def holds(f: Graph, g: Graph, region, seed: int, methods=(*CHEAP, "ascent")) -> dict[str, float]:
    """No point that was tried lies above a certified bound or the ascent's point; what each method says in l2."""
    bounds, skipped = difference_bounds(f, g, region, methods=methods, starts=2, steps=10)
    assert skipped == []
    distances = tried(f, g, region, seed)
    most = {"l2": float(distances.norm(dim=1).max()), "linf": float(distances.abs().max())}
    for bound in bounds:
        if bound.kind == "certified":
            assert bound.value >= most[bound.norm] * (1 - 1e-9), bound
    return {bound.method: bound.value for bound in bounds if bound.norm == "l2"}


@pytest.mark.parametrize("domain", ["box", "ball"])
def test_of_random_dense_networks_every_bound_holds(domain) -> None:
    kinds = ["relu", "relu", "leaky", "falling", "tanh", "gelu", "hardtanh", "silu", "elu", "relu"]
    for seed, (activation, how) in enumerate(zip(kinds, itertools.cycle(["noise", "rounded", "pruned"]), strict=False)):
        f = dense(seed, activation=activation)
        g = changed(f, how, seed)
        for radius in (0.01, 0.3, 2.0):
            holds(f, g, around(np.random.default_rng(seed).normal(size=4), radius, domain), seed)


@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_of_convolutions_skips_and_pools_every_bound_holds(kind) -> None:
    f = convolutional(1, kind)
    for radius, domain, how in ((0.02, "box", "noise"), (0.3, "box", "rounded"), (0.5, "ball", "slight")):
        holds(f, changed(f, how), around(np.random.default_rng(3).normal(size=72), radius, domain), 3)


def patterns_maximum(f: Graph, g: Graph, box: Box, row: int) -> float:
    """The largest ``f_row − g_row`` over a box: a linear program for every pattern of all ReLUs, 2-m-1 networks."""
    first = [graph.nodes[1] for graph in (f, g)]
    last = [graph.nodes[3] for graph in (f, g)]
    w = np.concatenate([node.weight.numpy() for node in first])
    b = np.concatenate([node.bias.numpy() for node in first])
    out = np.concatenate([last[0].weight.numpy()[row], -last[1].weight.numpy()[row]])
    shift = float(last[0].bias[row] - last[1].bias[row])
    best = -np.inf
    for pattern in itertools.product([0.0, 1.0], repeat=len(w)):
        on = np.array(pattern)
        sign = 1 - 2 * on  # rows: on, −z ≤ 0; off, z ≤ 0
        costs = (out * on) @ w
        found = linprog(
            -costs, A_ub=sign[:, None] * w, b_ub=-sign * b, bounds=list(zip(box.low, box.high, strict=True))
        )
        if found.status == 0:
            best = max(best, -found.fun + (out * on) @ b + shift)
    return best


@pytest.mark.parametrize("seed", range(3))
def test_mixed_integer_programs_find_the_exact_maximum(seed) -> None:
    f = dense(seed, widths=(2, 3, 2))
    g = changed(f, "rounded")
    box = around(np.random.default_rng(seed).normal(size=2), 1.0)
    reach = METHODS["mixed-integer"](OnRegion(Pair(f, g), box), np.eye(2))
    for row in range(2):
        exact = patterns_maximum(f, g, box, row), -patterns_maximum(g, f, box, row)
        assert exact[0] <= reach.high[row] <= exact[0] + 1e-3 * (exact[0] - exact[1]) + 1e-5
        assert exact[1] - 1e-3 * (exact[0] - exact[1]) - 1e-5 <= reach.low[row] <= exact[1]


def test_mixed_integer_programs_are_never_above_lines_nor_below_what_was_found() -> None:
    for seed, activation in enumerate(["relu", "leaky", "hardtanh", "relu6"]):
        f = dense(seed, widths=(3, 6, 5, 2), activation=activation)
        region = around(np.random.default_rng(seed).normal(size=3), 0.4)
        found = holds(f, changed(f, "noise"), region, seed, methods=[*METHODS, "ascent"])
        assert found["ascent"] <= found["mixed-integer"] <= found["joint CROWN"] * 1.001


def test_mixed_integer_programs_through_max_pooling() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 2), nn.MaxPool2d(2, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    torch.manual_seed(0)
    for layer in module:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    f = form(module, (1, 4, 4))
    g = changed(f, "noise")
    found = holds(f, g, around(np.random.default_rng(0).normal(size=16), 0.05), 0, methods=[*METHODS, "ascent"])
    assert found["mixed-integer"] <= found["ascent"] * 1.1


def test_clamps_with_ends_of_their_own_for_each_channel() -> None:
    """One end infinite at some entries; in the other network the same tensors, made anew."""
    f = dense(3, widths=(3, 5, 2))
    ends = (
        torch.tensor([-torch.inf, -0.5, 0.0, -0.2, 0.1]).double(),
        torch.tensor([0.3, torch.inf, 0.4, 0.5, 0.9]).double(),
    )

    def clamped(graph):
        parameters = tuple(end.clone() for end in ends)
        return Graph(tuple(
            replace(node, function="clamp", parameters=parameters) if isinstance(node, Activation) else node
            for node in graph.nodes
        ))  # fmt: skip

    first, second = clamped(f), clamped(changed(f, "noise"))
    found = holds(first, second, around(np.zeros(3), 0.6), 0, methods=[*METHODS, "ascent"])
    assert found["ascent"] <= found["mixed-integer"] <= 1.2 * found["ascent"]
    assert len(joint(first, clamped(f)).nodes) == len(first.nodes) + 1


def test_a_search_that_is_stopped_gives_the_bound_of_its_open_branches() -> None:
    f = dense(5, widths=(3, 6, 6, 2))
    g = changed(f, "noise")
    region = around(np.zeros(3), 1.0)
    stopped, _ = difference_bounds(f, g, region, methods=["mixed-integer", "ascent"], branches=1, norms=["l2"])
    ended, _ = difference_bounds(f, g, region, methods=["mixed-integer"], norms=["l2"], budget=200)
    assert "stopped" in stopped[0].note
    assert stopped[1].value <= ended[0].value <= stopped[0].value * (1 + 1e-6)


def test_what_the_search_has_found_is_no_certificate(monkeypatch) -> None:
    """The best point plays no part, whatever the solver says it is worth; the bound of open branches alone does."""
    f = dense(5, widths=(3, 6, 6, 2))
    on = OnRegion(Pair(f, changed(f, "noise")), around(np.zeros(3), 1.0), branches=1)
    whole = METHODS["mixed-integer"](on, np.eye(2))

    def emptied(*args, **options):
        found = milp(*args, **options)
        found.fun, found.x = 0.0, None
        return found

    monkeypatch.setattr(mixed_integer, "milp", emptied)
    again = METHODS["mixed-integer"](on, np.eye(2))
    assert (whole.low == again.low).all()
    assert (whole.high == again.high).all()


def test_too_many_relus_or_other_functions_are_refused() -> None:
    wide, smooth = dense(0, widths=(3, 60, 2)), dense(0, activation="tanh")
    for f, why in ((wide, "more than 50 ReLUs bend"), (smooth, "tanh is not piecewise linear")):
        region = around(np.zeros(f.nodes[0].size), 5.0)
        _, skipped = difference_bounds(f, changed(f, "noise"), region, methods=["mixed-integer"])
        assert why in skipped[0].reason


@pytest.mark.parametrize("kind", ["dense", *CONVOLUTIONAL])
def test_a_network_does_not_differ_from_itself(kind) -> None:
    f = dense(0) if kind == "dense" else convolutional(0, kind)
    region = around(np.zeros(f.nodes[0].size), 0.5)
    bounds, _ = difference_bounds(f, f, region, methods=[*CHEAP, "ascent"])
    for bound in bounds:
        if bound.method != "joint intervals":
            assert bound.value <= 1e-12, bound


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        self.last = nn.Linear(48, 4)
        self.norm.running_mean.data = torch.randn(3)
        self.norm.running_var.data = torch.rand(3) + 0.5

    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu().flatten(1))


def test_folding_batch_norm_changes_next_to_nothing() -> None:
    module = Normed().eval()
    folded = copy.deepcopy(module)
    folded.first, folded.norm = fuse_conv_bn_eval(folded.first, folded.norm), nn.Identity()
    bounds, skipped = difference_bounds(form(module, SHAPE), form(folded, SHAPE), around(np.zeros(72), 0.1))
    assert {item.method for item in skipped} <= {"mixed-integer"}
    for bound in bounds:
        if bound.method in ("telescoping", "delta-interval", "delta-CROWN", "ascent"):
            assert bound.value < 1e-4, bound


def test_channels_that_are_removed_leave_the_joint_methods() -> None:
    f, g = dense(0, widths=(4, 7, 3)), dense(0, widths=(4, 5, 3))
    region = around(np.zeros(4), 0.3)
    bounds, skipped = difference_bounds(f, g, region)
    assert {item.method for item in skipped} == {"telescoping", "delta-interval", "delta-CROWN"}
    assert all("differ in their shape" in item.reason for item in skipped)
    assert {bound.method for bound in bounds} == {"joint intervals", "joint CROWN", "mixed-integer", "ascent"}
    most = float(tried(f, g, region, 0).norm(dim=1).max())
    assert min(bound.value for bound in bounds if bound.kind == "certified" and bound.norm == "l2") >= most


def test_what_differs_is_named() -> None:
    x = np.zeros(4)
    relu, tanh, deep = dense(0), dense(0, activation="tanh"), dense(0, widths=(4, 7, 6, 5, 3))
    for g, why in ((tanh, "differ in their function"), (deep, "differ in their shape")):
        with pytest.raises(NotApplicable, match=why):
            aligned(relu, g)
    with pytest.raises(NotApplicable, match="3 and 2 outputs"):
        joint(relu, dense(0, widths=(4, 7, 6, 2)))
    with pytest.raises(ValueError, match="no method"):
        difference_bounds(relu, relu, around(x, 0.1), methods=["magic"])


def test_none_of_the_methods_wins_always() -> None:
    """Among those that take both networks as they are: the least bound is each one's somewhere."""
    names = ["telescoping", "delta-interval", "joint CROWN"]
    winners = set()
    for seed, how, radius, widths in [
        (0, "noise", 3.0, (4, 30, 30, 30, 3)),
        (0, "slight", 0.3, (4, 7, 6, 3)),
        (0, "pruned", 0.02, (4, 7, 6, 3)),
    ]:
        f = dense(seed, widths=widths)
        bounds, _ = difference_bounds(f, changed(f, how), around(np.zeros(4), radius), methods=names, norms=["l2"])
        winners.add(min(bounds, key=lambda bound: bound.value).method)
    assert winners == set(names)


def test_intervals_of_the_difference_hold_in_exact_arithmetic() -> None:
    """Weights that differ by a few units in the last place, evaluated in fractions."""
    f = dense(2)
    nodes = [
        replace(node, weight=node.weight * (1 + 3 * 2.0**-52)) if isinstance(node, Dense) else node for node in f.nodes
    ]
    g = Graph(tuple(nodes))
    region = around(np.array([0.3, -0.2, 0.7, 0.1]), 0.0)
    found = delta_intervals(f, g, interval_bounds(f, region), interval_bounds(g, region))
    x = [Fraction(float(value)) for value in region.low]
    exact = [a - b for a, b in zip(_exactly(f, x), _exactly(g, x), strict=True)]
    for value, low, high in zip(exact, *found, strict=True):
        assert Fraction(float(low)) <= value <= Fraction(float(high))
        assert float(high - low) < 1e-13


def _exactly(graph: Graph, x: list[Fraction]) -> list[Fraction]:
    for node in graph.nodes[1:]:
        if isinstance(node, Dense):
            rows = zip(node.weight.tolist(), node.bias.tolist(), strict=True)
            x = [sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(b)) for row, b in rows]
        else:
            x = [max(value, Fraction(0)) for value in x]
    return x


def test_the_lines_of_a_sector_hold_it() -> None:
    random = torch.Generator().manual_seed(0)
    alpha = torch.randn(500, generator=random, dtype=torch.float64)
    beta = alpha + torch.rand(500, generator=random, dtype=torch.float64)
    low = torch.randn(500, generator=random, dtype=torch.float64)
    high = low + torch.rand(500, generator=random, dtype=torch.float64)
    high[:50] = low[:50]
    ends = torch.stack([slope * end for slope in (alpha, beta) for end in (low, high)])
    passed = chord(Slopes(alpha, beta), Ends(low, high), Ends(ends.amin(dim=0), ends.amax(dim=0)))
    for sign in (1.0, -1.0):
        found = passed(sign * torch.eye(500, dtype=torch.float64))
        for share in (0.0, 0.3, 1.0):
            d = low + share * (high - low)
            bound = found.rows.diagonal() * d + found.constant
            for slope in (alpha, beta):
                assert (bound >= sign * slope * d - 1e-13).all()


def test_the_joint_graph_is_the_difference_and_holds_once_what_is_alike() -> None:
    f = convolutional(0, "skip")
    nodes = list(f.nodes)
    nodes[-1] = replace(nodes[-1], weight=nodes[-1].weight * 2)
    g = Graph(tuple(nodes))
    x = torch.rand(3, *f.nodes[0].shape, dtype=torch.float64)
    assert torch.equal(joint(f, g)(x), f(x) - g(x))
    assert len(joint(f, g).nodes) == len(f.nodes) + 2
    found = joined(f, changed(f, "noise"))
    assert sorted(found.places) == list(range(len(f.nodes)))


def test_a_class_that_is_kept_is_the_class_of_every_point_that_was_tried() -> None:
    told = []
    for seed in range(60):
        f = dense(seed, widths=(3, 8, 3))
        g = changed(f, "noise", seed)
        region = around(np.random.default_rng(seed).normal(size=3), 0.1)
        on, x = OnRegion(Pair(f, g), region), points(region, 300, np.random.default_rng(seed)).reshape(-1, 1, 3)
        label = int(f(torch.from_numpy((region.low + region.high) / 2).reshape(1, 1, 3)).argmax())
        rows = margin_rows(label, 3)
        margins = {name: METHODS[name](on, rows) for name in CHEAP}
        of_f, of_g = (least_margins(graph, region, rows) for graph in (f, g))
        for of_variant in (of_g, np.full(2, -np.inf)):  # also by the margins of f and the difference alone
            told.append(class_kept(of_f, of_variant, margins))
            assert not told[-1] or bool((g(x).flatten(1).argmax(dim=1) == label).all())
    assert 0.2 < np.mean(told) < 0.9


def test_the_ascent_depends_on_its_words_alone_and_stays_within() -> None:
    f = dense(1)
    whole = joint(f, changed(f, "noise"))
    for region in (around(np.zeros(4), 0.5), Ball(np.ones(4), 0.5)):
        first, at = farthest(whole, region, words=(0, "digits/3"))
        again, _ = farthest(whole, region, words=(0, "digits/3"))
        assert first == again
        assert first <= float(whole(torch.from_numpy(at).reshape(1, 1, 4)).detach().norm())
        if isinstance(region, Box):
            assert ((region.low <= at) & (at <= region.high)).all()
        else:
            assert np.linalg.norm(at - region.centre) <= region.radius


def test_a_lower_bound_above_a_certified_one_is_a_bug() -> None:
    bounds = [DifferenceBound("a", "certified", "l2", "box", 1.0), DifferenceBound("b", "lower", "l2", "box", 2.0)]
    with pytest.raises(AssertionError, match=r"b 2\.0 exceeds a 1\.0"):
        enclosing(bounds, "l2")
    assert enclosing(bounds, "linf") == (None, None)


@pytest.mark.parametrize("e", [0.1, 1e-3, 1e-6])
def test_at_a_scale_a_shifted_relu_is_near_while_its_constant_is_one(e) -> None:
    """``relu(x) − relu(x − e)``: constant 1, at distance r no more than 2 e / r."""
    x = np.linspace(-1, 1, 2001)
    y = np.maximum(x, 0) - np.maximum(x - e, 0)
    fine = np.array([0.0, e / 2])
    assert abs(np.diff(np.maximum(fine, 0) - np.maximum(fine - e, 0))[0] / (e / 2) - 1) < 1e-9
    apart = np.abs(x[:, None] - x[None, :])
    quotient = np.abs(y[:, None] - y[None, :]) / np.where(apart > 0, apart, 1)
    for r in (0.01, 0.5):
        assert quotient[apart >= r * (1 - 1e-9)].max() <= difference_at_scale(1.0, 1.0, e, r * (1 - 1e-9))
    assert difference_at_scale(1.0, 1.0, e, 0.5) == pytest.approx(min(2, 4 * e))
    with pytest.raises(ValueError, match="above 0"):
        difference_at_scale(1.0, 1.0, e, 0.0)

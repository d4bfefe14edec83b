"""Bounds of networks that round, beside what pairs of inputs really do."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch
from torch import nn

from bench.canonical_form.nodes import Quantise
from bench.canonical_form.quantisers import surrogate
from bench.canonical_form.trace import canonical_form
from bench.functional.lipschitz.certificate import LipschitzBound, best, enclosing
from bench.functional.lipschitz.chain_bounds.enumeration import constant
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain
from bench.functional.lipschitz.graph_bounds.liplt import liplt, product, solve
from bench.functional.lipschitz.graph_bounds.lower import secant_lower
from bench.functional.lipschitz.methods import lipschitz_bounds
from bench.functional.lipschitz.quantised_bounds.at_scales import of_surrogate
from bench.functional.lipschitz.quantised_bounds.chain_tails import behind, chain_tail
from bench.functional.lipschitz.quantised_bounds.entrywise import apart
from bench.functional.lipschitz.quantised_bounds.rounding_error import rounding_error
from bench.functional.lipschitz.quantised_bounds.scale import affine_gain, scale_bound
from bench.functional.lipschitz.quantised_bounds.scale_secants import scale_secants, straight_through
from bench.functional.lipschitz.quantised_bounds.surrogate_network import surrogate_network
from bench.functional.lipschitz.quantised_bounds.tails import tails

NORMS = {"l2": 2, "linf": inf}


class Rounding(nn.Module):
    """Codes of some bits over a range, one for the tensor or one for each channel."""

    def __init__(self, low: float, high: float, bits: int, channels: int = 0) -> None:
        super().__init__()
        self.most, scale = 2**bits - 1, (high - low) / (2**bits - 1)
        wide = scale * torch.linspace(0.5, 1.0, channels) if channels else torch.tensor(scale)
        self.scale, self.channels = wide, channels
        self.zero = torch.round(-low / wide).int()

    def forward(self, x):
        if self.channels:
            return torch.fake_quantize_per_channel_affine(x, self.scale, self.zero, 1, 0, self.most)
        return torch.fake_quantize_per_tensor_affine(x, float(self.scale), int(self.zero), 0, self.most)


class Skip(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


def network(kind: str, bits: int = 4, seed: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    dense = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 3)
    maps = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), nn.Linear(27, 3)
    return {
        "dense": lambda: nn.Sequential(
            Rounding(-1, 1, bits), dense[0], nn.ReLU(), Rounding(0, 1, bits), dense[1], nn.ReLU(),
            Rounding(0, 0.5, bits), dense[2],
        ),
        "channels": lambda: nn.Sequential(
            Rounding(-1, 1, bits), dense[0], nn.Tanh(), Rounding(-0.5, 0.5, bits, 6), dense[1], nn.GELU(),
            Rounding(-0.2, 1, bits, 5), dense[2], Rounding(-1, 1, bits),
        ),
        "maps": lambda: nn.Sequential(
            nn.Unflatten(1, (1, 3, 3)), maps[0], Rounding(-1, 1, bits, 3), nn.ReLU(), nn.MaxPool2d(2, 1, 1),
            nn.AvgPool2d(2, 1), Rounding(0, 1, bits), Skip(nn.Sequential(maps[1], nn.ReLU(), Rounding(0, 1, bits))),
            Rounding(0, 1.5, bits), nn.Flatten(), maps[2],
        ),
        "shared": lambda: nn.Sequential(
            dense[0], Rounding(-1, 1, bits), Skip(nn.Sequential(nn.Linear(6, 6), nn.Tanh(), Rounding(-1, 1, bits))),
            nn.Linear(6, 3), nn.LogSoftmax(1),
        ),
    }[kind]().eval()  # fmt: skip


KINDS = ["dense", "channels", "maps", "shared"]
SIZES = {"maps": 9}


def form(module: nn.Module, size: int):
    return canonical_form(module, torch.randn(20, size, generator=torch.Generator().manual_seed(0)), rounding="keep")


def inputs(size: int, n: int, seed: int) -> torch.Tensor:
    """Inputs of many sizes, some far outside every range."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, size, generator=random).double() * 10 ** (3 * torch.rand(n, 1, 1, generator=random) - 2)


def pairs(size: int, n: int, seed: int, least: float, norm: str):
    """Pairs at least so far apart, most of them about that."""
    x, random = inputs(size, n, seed), torch.Generator().manual_seed(seed + 1)
    step = torch.randn(n, 1, size, generator=random).double()
    far = least * (1 + 1e-9) * (1 + 3 * torch.rand(n, 1, 1, generator=random) ** 4)
    return x, x + far * step / torch.linalg.vector_norm(step, ord=NORMS[norm], dim=2, keepdim=True)


def lengths(values: torch.Tensor, norm: str) -> torch.Tensor:
    return torch.linalg.vector_norm(values.flatten(1), ord=NORMS[norm], dim=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("norm", NORMS)
def test_no_input_is_further_from_its_surrogate_and_no_pair_gains_more(kind, bits, norm) -> None:
    size, found = SIZES.get(kind, 4), 0.0
    for seed in range(2):
        graph = form(network(kind, bits, seed), size)
        smooth = surrogate_network(graph)
        error = rounding_error(graph, norm)
        assert len(error.shares) == len(smooth.places) >= 2
        x = inputs(size, 2000, seed)
        off = lengths(graph(x) - smooth.whole(x), norm)
        assert off.max() <= error.value
        assert off.max() > error.value / 300  # it is no fantasy
        assert error.value <= sum(share.value for share in error.shares) * (1 + 1e-6)
        limit = product(smooth.graph, norm) if norm == "linf" else liplt(smooth.graph)
        for r in (0.01, 0.3):
            x, y = pairs(size, 2000, seed, r, norm)
            gain, distance = lengths(graph(x) - graph(y), norm), lengths(x - y, norm)
            assert bool((gain <= affine_gain(limit.value, error.value, distance)).all())
            assert gain.max() <= error.diameter
            upper = scale_bound(of_surrogate(limit), error, r)
            assert (gain / distance)[distance >= r].max() <= upper.value
            lower = scale_secants(graph, x[:40].numpy(), r, norm, steps=10)
            assert lower.value <= upper.value
            found += lower.value
            assert (lower.scale, upper.scale, lower.kind, upper.kind) == (r, r, "lower", "certified")
    assert found > 0  # some networks of 2 bits answer all samples alike


@pytest.mark.parametrize("kind", KINDS)
def test_every_share_is_above_what_one_quantiser_alone_does(kind) -> None:
    """All others left out: the difference that its own rounding makes, whatever stands behind it."""
    size = SIZES.get(kind, 4)
    graph = form(network(kind, 3), size)
    error, places = rounding_error(graph), [k for k, node in enumerate(graph.nodes) if isinstance(node, Quantise)]
    x = inputs(size, 4000, 1)
    for share, only in zip(error.shares, places, strict=True):
        values, smooth = [x], [x]
        for place, node in enumerate(graph.nodes[1:], start=1):
            for kept, out in ((True, values), (False, smooth)):
                given = [out[k] for k in node.inputs]
                rounds = not isinstance(node, Quantise) or (kept and place == only)
                out.append(node(*given) if rounds else node.surrogate(given[0]))
        assert lengths(values[-1] - smooth[-1], "l2").max() <= share.value


@pytest.mark.parametrize("kind", KINDS)
def test_tails_hold_beside_changes_of_one_value_and_equal_the_norm_where_all_is_linear(kind) -> None:
    size = SIZES.get(kind, 4)
    smooth = surrogate_network(form(network(kind, 3), size)).graph
    places = range(1, len(smooth.nodes))
    x = inputs(size, 2000, 2)
    for norm in NORMS:
        found = tails(smooth, places, norm, solve(smooth) if norm == "l2" else None)
        for place in places:
            values = [x]
            for node in smooth.nodes[1:]:
                values.append(node(*(values[k] for k in node.inputs)))
            changed = list(values)
            drawn = torch.randn(values[place].shape, generator=torch.Generator().manual_seed(place)).double()
            changed[place] = values[place] + 0.1 * drawn
            for k in range(place + 1, len(smooth.nodes)):
                changed[k] = smooth.nodes[k](*(changed[i] for i in smooth.nodes[k].inputs))
            quotients = lengths(changed[-1] - values[-1], norm) / lengths(0.1 * drawn, norm)
            assert quotients.max() <= found[place] * (1 + 1e-9)
    if kind == "dense":
        weight = network(kind)[-1].weight.detach().double()
        assert tails(smooth, [len(smooth.nodes) - 2], "l2", solve(smooth))[len(smooth.nodes) - 2] == pytest.approx(
            float(torch.linalg.matrix_norm(weight, 2)), rel=1e-5
        )


def test_tails_of_chains_are_sharper_and_never_below_the_enumerated_constant() -> None:
    graph = surrogate_network(form(network("dense", 3), 4)).graph
    by_liplt = tails(graph, [2, 4], "l2", solve(graph))
    for place, value in by_liplt.items():
        exact = constant(dense_chain(_with_relu(behind(graph, place)))).value
        found = chain_tail(graph, place, iterations=50)
        assert exact <= found * (1 + 1e-9)
        assert found <= value * (1 + 1e-6)


def _with_relu(graph):
    """Clamps as ReLUs, whose slopes are the same two."""
    return replace(
        graph,
        nodes=tuple(
            replace(node, function="relu", parameters=()) if getattr(node, "function", "") == "clamp" else node
            for node in graph.nodes
        ),
    )


class Exact(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_one_scale_for_each_entry_is_reached_exactly() -> None:
    scales = torch.tensor([0.5, 0.25, 0.125])
    graph = form(
        Exact(lambda x: torch.fake_quantize_per_channel_affine(x, scales, torch.zeros(3).int(), 1, -100, 100)), 3
    )
    error = rounding_error(graph)
    assert error.value == pytest.approx(float(torch.linalg.vector_norm(scales)) / 2, rel=1e-6)
    x = (scales.double() * (0.5 - 1e-9))[None, None]
    smooth = surrogate_network(graph).graph
    assert float(lengths(graph(x) - smooth(x), "l2")) == pytest.approx(error.value, rel=1e-6)


@pytest.mark.parametrize("r", [0.1, 0.25, 1.0])
def test_of_rounding_alone_the_constant_at_a_scale_is_known(r) -> None:
    """One entry, steps of s: codes of inputs d apart differ by floor(d / s) + 1 at most."""
    s = 0.1
    graph = form(Exact(lambda x: torch.fake_quantize_per_tensor_affine(x, s, 128, 0, 255)), 1)
    bounds, _ = lipschitz_bounds(graph, np.array([[0.3], [-1.0]]), scales=[r])
    step = float(graph.nodes[1].scale)
    exact = max((np.floor(d / step) + 1) * step / d for d in (r, step * (np.ceil(r / step) + 1e-9)))
    lower, upper = enclosing(bounds, scale=r)
    assert upper.value == pytest.approx(1 + step / r, rel=1e-6)
    assert lower.value <= exact * (1 + 1e-6)
    assert upper.value >= exact * (1 - 1e-6)
    assert lower.value > 0.9 * exact
    grid = torch.linspace(-3, 3, 60001).double()[:, None, None]
    apart_by = [round(d / 1e-4) + 1 for d in (r, step * np.ceil(r / step))]
    seen = max(float((graph(grid[k:]) - graph(grid[:-k])).abs().max()) / (k * 1e-4) for k in apart_by)
    assert seen <= upper.value
    assert seen == pytest.approx(exact, rel=5e-3)


def test_bounds_entry_by_entry_are_taken_where_they_are_smaller_and_know_ranges() -> None:
    """One output: Σ |w_i| s / 2 is what rounding does, the norms' product is √n too much."""
    w = torch.tensor([[3.0, 0.1, 0.1, 0.1]])
    graph = form(Exact(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.5, 0, 0, 3) @ w.T), 4)
    error = rounding_error(graph)
    assert error.shares[0].rule == "entries"
    assert error.value == pytest.approx(0.25 * 3.3, rel=1e-6)
    assert error.diameter == pytest.approx(1.5 * 3.3, rel=1e-6)
    far = scale_bound(of_surrogate(product(surrogate_network(graph).graph)), error, 100.0)
    assert far.value == pytest.approx(1.5 * 3.3 / 100, rel=1e-6)
    assert "no two outputs" in far.note
    assert float(apart(graph, inf, 1.0)) == pytest.approx(error.diameter, rel=1e-6)
    unbounded = form(Exact(lambda x: torch.round(x) @ w.T), 4)
    assert rounding_error(unbounded).diameter == inf
    assert rounding_error(unbounded).value == pytest.approx(0.5 * 3.3, rel=1e-6)


def test_a_clamp_of_the_input_is_left_out_and_every_bound_still_holds() -> None:
    graph = form(network("dense", 8), 4)
    whole, smooth = surrogate(graph), surrogate_network(graph)
    assert len(smooth.graph.nodes) == len(whole.nodes) - 1
    assert liplt(smooth.graph).value < liplt(whole).value
    assert secant_lower(whole, torch.randn(8, 4).numpy()).value <= liplt(smooth.graph).value
    x = inputs(4, 500, 0)
    inner = x.clamp(-0.9, 0.9)
    torch.testing.assert_close(smooth.graph(inner), whole(inner))


def test_a_clamp_that_differs_by_entry_or_whose_input_is_used_twice_is_kept() -> None:
    torch.manual_seed(0)
    last = nn.Linear(4, 2)
    for function in (
        lambda x: last(torch.fake_quantize_per_channel_affine(x, torch.rand(4) + 0.1, torch.zeros(4).int(), 1, 0, 15)),
        lambda x: last(x + torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 15)),
    ):
        graph = form(Exact(function), 4)
        assert len(surrogate_network(graph).graph.nodes) == len(surrogate(graph).nodes)


def test_gradients_pass_straight_through_within_the_range() -> None:
    weight = torch.tensor([[2.0, -1.0]])
    graph = form(Exact(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 10) @ weight.T), 2)
    x = torch.tensor([[0.32, 0.55], [-0.01, 0.2], [0.3, 1.01]]).double()[:, None].requires_grad_()
    out = straight_through(graph, x)
    torch.testing.assert_close(out.flatten(), torch.tensor([0.6 - 0.5, -0.2, 0.6 - 1]).double(), atol=0.1001, rtol=0)
    torch.testing.assert_close(out, graph(x))
    (found,) = torch.autograd.grad(out.sum(), x)
    assert found[:, 0].tolist() == [[2, -1], [0, -1], [2, 0]]


def test_a_float_network_has_a_constant_at_every_scale_and_never_a_larger_one() -> None:
    torch.manual_seed(0)
    graph = form(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval(), 4)
    bounds, _ = lipschitz_bounds(graph, torch.randn(8, 4).numpy(), scales=[0.01, 1.0], budget=5)
    certified = best(bounds)
    assert {bound.of for bound in bounds} == {"network"}
    for r in (0.01, 1.0):
        lower, upper = enclosing(bounds, scale=r)
        assert upper.value == pytest.approx(certified.value)
        assert 0.7 * certified.value < lower.value <= upper.value


def test_constants_of_the_surrogate_of_a_scale_and_of_the_network_are_never_mixed() -> None:
    graph = form(network("dense"), 4)
    bounds, skipped = lipschitz_bounds(graph, torch.randn(8, 4).numpy(), scales=[0.1, 1.0], budget=5)
    assert skipped == []
    assert best(bounds) is None
    assert enclosing(bounds) == (None, None)
    own = [bound for bound in bounds if bound.of == "network"]
    assert {bound.scale for bound in own} == {0.1, 1.0}
    assert all(bound.domain == f"pairs at least {bound.scale:g} apart" for bound in own)
    others = [bound for bound in bounds if bound.of == "surrogate"]
    assert all(bound.method.startswith("surrogate ") and "no finite constant" in bound.note for bound in others)
    assert best(bounds, "surrogate").value < best(bounds, scale=1.0).value < best(bounds, scale=0.1).value
    wrong = LipschitzBound("a lie", "lower", 1e9, scale=0.1)
    enclosing([*bounds, replace(wrong, scale=0.0)], scale=0.1)
    with pytest.raises(AssertionError, match="a lie"):
        enclosing([*bounds, wrong], scale=0.1)


def test_what_is_no_bound_of_the_surrogate_gives_none_at_a_scale() -> None:
    graph = form(network("dense"), 4)
    error, found = rounding_error(graph), of_surrogate(product(surrogate_network(graph).graph))
    for bound in (replace(found, of="network"), replace(found, kind="lower"), replace(found, norm="linf")):
        with pytest.raises(ValueError, match="is no certified bound of the surrogate's constant in l2"):
            scale_bound(bound, error, 0.1)
    with pytest.raises(ValueError, match="must be above 0"):
        scale_bound(found, error, 0.0)


def test_in_a_box_nothing_is_said_of_a_network_that_rounds() -> None:
    bounds, skipped = lipschitz_bounds(form(network("dense"), 4), limits=(0.0, 1.0), scales=[0.1])
    assert bounds == []
    assert {item.reason for item in skipped} == {"bounds on a box or a ball are not known where a network rounds"}


def test_pairs_are_as_far_apart_as_they_say_for_what_runs_in_float32() -> None:
    graph, seen = form(network("dense", 8), 4), []

    def outputs(x):
        seen.append(x)
        return graph(torch.from_numpy(x).double()[:, None]).numpy()[:, 0]

    samples, r = 5 * np.random.default_rng(0).normal(size=(8, 4)), 1 / 255
    found = scale_secants(graph, samples, r, outputs=outputs)
    quotients = []
    for x, y in zip(*(list(seen[k::2]) for k in (0, 1)), strict=True):
        assert x.dtype == np.float32
        distance = np.linalg.norm(x.astype(np.float64) - y, axis=1)
        gain = np.linalg.norm(outputs(x) - outputs(y), axis=1)
        quotients += [*(gain[distance >= r] / distance[distance >= r])]
    assert found.value == pytest.approx(max(quotients), rel=1e-3)
    assert found.value <= max(quotients)
    assert found.note == "answers of the network as it runs"

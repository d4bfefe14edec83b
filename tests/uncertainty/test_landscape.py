"""The loss in weight space: closed forms of linear networks, curves, planes, BatchNorm, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import NotApplicable
from bench.functional.members.curves import bezier_weights, parameters_along, plane_through
from bench.functional.members.places import in_simplex, on_curve, on_line
from bench.models.base import Recipe
from bench.models.mlp import Mlp
from bench.models.training import initialise
from bench.networks.members import Stacked
from bench.networks.network import InputSpec
from bench.stats.barrier import barrier
from bench.stats.resampling import Resamples
from bench.uncertainty.curve import Curve
from bench.uncertainty.deep_ensemble import DeepEnsemble
from bench.uncertainty.espro import Espro
from bench.uncertainty.landscape import looked_at, region_of
from bench.uncertainty.masksembles import Masksembles
from bench.uncertainty.subspace import Subspace
from bench.uncertainty.weight_space import WeightSpace
from bench.uncertainty.weight_vectors import Unlabelled, weight_vector

DECLARED = InputSpec((5,), ("a", "b", "c"), mean=(0.5,), std=(2.0,), bounds=(-4.0, 4.0))
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 5)).astype(np.float32)
Y = RANDOM.integers(0, 3, 40)
SAMPLES = SimpleNamespace(x=X, y=Y)
IMAGES = Unlabelled(RANDOM.normal(size=(60, 5)).astype(np.float32))


def networks(count, model=Mlp(hidden=())):  # noqa: B008
    made = [initialise(model, DECLARED, seed) for seed in range(count)]
    for number, network in enumerate(made):
        with torch.no_grad():
            for part in network.parameters():
                part.add_(torch.from_numpy(np.random.default_rng(number).normal(size=tuple(part.shape))))
    return made


def region(made, method):
    return region_of(Stacked(made), method, 0, {})


def softmax_loss(weight, bias):
    logits = ((X - 0.5) / 2.0) @ weight.T + bias
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(40), Y]


def test_linear_softmax_networks_on_a_line_by_hand() -> None:
    two = networks(2)
    places = on_line(21, 2, 0, 1)
    seen = looked_at(region(two, DeepEnsemble(members=2)).space, places.weights, IMAGES, SAMPLES, DECLARED)
    weights, biases = (
        [part.detach().numpy() for part in pair] for pair in zip(*(n.parameters() for n in two), strict=True)
    )
    for t, losses, right in zip(parameters_along(21), seen.losses, seen.correct, strict=True):
        weight, bias = ((1 - t) * first.astype(float) + t * second for first, second in (weights, biases))
        np.testing.assert_allclose(losses, softmax_loss(weight, bias), atol=2e-6)
        assert (right == ((((X - 0.5) / 2.0) @ weight.T + bias).argmax(axis=1) == Y)).all()
    found = barrier(seen.losses, places.shares, seen.losses[[0, -1]], Resamples(40, 200))
    assert found.estimate == found.interval.low == 0  # cross entropy is convex in the weights of one layer


class Product(nn.Module):
    """Logits (a b s, -a b s): two weights, so that (a, b) and (-a, -b) are one function and their middle is none."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor([a])), nn.Parameter(torch.tensor([b]))

    def forward(self, x):
        score = self.a * self.b * x[:, 0]
        return torch.stack([score, -score], dim=1)


SIGNS = SimpleNamespace(x=np.array([[1.0], [2.0], [-1.0]], dtype=np.float32), y=np.array([0, 0, 1]))
TWO = InputSpec((1,), ("a", "b"))


def product_loss(slope):
    return np.log1p(np.exp(-2 * slope * np.array([1.0, 2.0, 1.0])))


def test_the_barrier_between_two_modes_that_are_one_function_by_hand() -> None:
    pair = [Product(2.0, 1.0), Product(-2.0, -1.0)]
    places = on_line(21, 2, 0, 1)
    seen = looked_at(region(pair, DeepEnsemble(members=2)).space, places.weights, IMAGES, SIGNS, TWO)
    for t, losses in zip(parameters_along(21), seen.losses, strict=True):
        np.testing.assert_allclose(losses, product_loss(2 * (1 - 2 * t) ** 2), atol=1e-6)
    found = barrier(seen.losses, places.shares, seen.losses[[0, -1]], Resamples(3, 50))
    assert found.estimate == pytest.approx(np.log(2) - product_loss(2.0).mean(), abs=1e-6)
    assert found.index == 10


def test_a_curve_around_the_barrier_is_told_from_its_members() -> None:
    """Ends (2, 1) and (1, 2), bend (3, 3): the product rises along the curve, so its loss falls; ends stay exact."""
    space = WeightSpace([Product(2.0, 1.0), Product(3.0, 3.0), Product(1.0, 2.0)], lambda: np.eye(3))
    members = [space.at(point) for point in bezier_weights(parameters_along(5))]
    found = region(members, Curve(members=5))
    assert (found.form, found.names) == ("curve", ("first end", "bend", "second end"))
    np.testing.assert_allclose(weight_vector(found.space.vertices[1]), [3.0, 3.0], atol=1e-6)
    for end, member in ((0, 0), (2, -1)):
        np.testing.assert_array_equal(weight_vector(found.space.vertices[end]), weight_vector(members[member]))
    places = on_curve(21)
    seen = looked_at(found.space, places.weights, IMAGES, SIGNS, TWO)
    for t, losses in zip(parameters_along(21), seen.losses, strict=True):
        a, b = (sum(w * v for w, v in zip(((1 - t) ** 2, 2 * t * (1 - t), t**2), corner, strict=True))
                for corner in ((2, 3, 1), (1, 3, 2)))  # fmt: skip
        np.testing.assert_allclose(losses, product_loss(a * b), atol=1e-6)
    for end, member in ((0, 0), (20, -1)):  # the modes' own loss, to the last bit
        scores = members[member](torch.from_numpy(SIGNS.x)).double()
        own = nn.functional.cross_entropy(scores, torch.from_numpy(SIGNS.y), reduction="none").detach().numpy()
        np.testing.assert_array_equal(seen.losses[end], own)


@pytest.mark.parametrize("shape", ["line", "curve", "simplex"])
def test_trained_vertices_come_back(digits, shape) -> None:
    method = Subspace(members=6, shape=shape)
    model, recipe = Mlp(hidden=(12,), batch_norm=True), Recipe(epochs=1, batch=64)
    trained = method.space(model, digits.train, digits.input, recipe, 3, lambda line: None)
    made = method.train(model, digits.train, digits.input, recipe, 3, lambda line: None)
    found = region_of(made, method, 3, {})
    assert len(found.names) == method.count
    for ours, theirs in zip(found.space.vertices, trained.vertices, strict=True):
        np.testing.assert_allclose(weight_vector(ours), weight_vector(theirs), atol=1e-5)


def test_the_planes_coordinates_are_the_modes() -> None:
    space = region(networks(3, Mlp(hidden=(4,))), DeepEnsemble(members=3)).space
    table = np.stack([weight_vector(mode) for mode in space.vertices])
    plane = plane_through(table)
    np.testing.assert_allclose(plane.basis @ plane.basis.T, np.eye(2), atol=1e-12)
    for weights, mode in zip(plane.mode_weights(plane.coordinates), table, strict=True):
        np.testing.assert_allclose(weight_vector(space.at(weights)), mode, atol=1e-6)
    np.testing.assert_allclose(table[0] + plane.coordinates @ plane.basis, table, atol=1e-6)
    corner = plane.grid(3, 0.2)[0]
    there = table[0] + corner @ plane.basis
    np.testing.assert_allclose(weight_vector(space.at(plane.mode_weights(corner[None])[0])), there, atol=1e-5)


def test_statistics_of_batch_norm_are_those_of_the_weights_that_are_looked_at() -> None:
    """By hand: normalised by mean and unbiased variance of what comes before, on the images in one batch."""
    pair = networks(2, Mlp(hidden=(6,), batch_norm=True))
    space = region(pair, DeepEnsemble(members=2)).space
    seen = looked_at(space, np.array([[0.5, 0.5]]), IMAGES, SAMPLES, DECLARED)
    first, gain, shift, last, bias = (
        (a.detach().double().numpy() + b.detach().double().numpy()) / 2
        for a, b in zip(pair[0].parameters(), pair[1].parameters(), strict=True)
    )
    before = ((IMAGES.x - 0.5) / 2.0) @ first.T
    hidden = (((X - 0.5) / 2.0) @ first.T - before.mean(axis=0)) / np.sqrt(before.var(axis=0, ddof=1) + 1e-5)
    logits = np.maximum(gain * hidden + shift, 0) @ last.T + bias
    wanted = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(40), Y]
    np.testing.assert_allclose(seen.losses[0], wanted, atol=1e-5)
    with torch.no_grad():
        stale = space.at(np.array([0.5, 0.5]))((torch.from_numpy(X) - 0.5) / 2.0)
    stale_loss = nn.functional.cross_entropy(stale, torch.from_numpy(Y), reduction="none").numpy()
    assert np.abs(stale_loss - wanted).max() > 0.1


def test_batches_and_other_samples_change_nothing() -> None:
    space = region(networks(3, Mlp(hidden=(6,), batch_norm=True)), DeepEnsemble(members=3)).space
    places = in_simplex(3, 4, "test").weights
    seen = looked_at(space, places, IMAGES, SAMPLES, DECLARED)
    few = looked_at(space, places[2:5], IMAGES, SimpleNamespace(x=X[:13], y=Y[:13]), DECLARED)
    np.testing.assert_array_equal(few.losses, seen.losses[2:5, :13])
    for batch in (1, 7, 40):
        other = looked_at(space, places, IMAGES, SAMPLES, DECLARED, batch)
        np.testing.assert_allclose(other.losses, seen.losses, rtol=2e-5, atol=2e-6)
        np.testing.assert_array_equal(other.correct, seen.correct)


def test_the_datas_own_order_of_classes_and_probabilities_are_understood() -> None:
    (network,) = networks(1)
    turned = replace(DECLARED, order=(2, 0, 1))
    space = WeightSpace([network], lambda: np.eye(1))
    losses = looked_at(space, np.eye(1), IMAGES, SAMPLES, turned).losses[0]
    weight, bias = (part.detach().double().numpy() for part in network.parameters())
    logits = (((X - 0.5) / 2.0) @ weight.T + bias)[:, [1, 2, 0]]
    np.testing.assert_allclose(losses, np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(40), Y], atol=2e-6)


class Masked(nn.Linear):
    def __init__(self, kept: float) -> None:
        super().__init__(5, 3)
        self.register_buffer("mask", torch.tensor([kept]))


REFUSED = {
    "one network": (nn.Flatten(), None, {}, {}, "one network has no second mode"),
    "a compressed one": (
        Stacked(networks(2)), DeepEnsemble(members=2), {"step": "ptq", "of": {}}, {},
        "ptq was applied; ask for the reference",
    ),
    "shared weights": (
        Masksembles(members=4, scale=1.5).build(Mlp(hidden=(24,)), DECLARED), Masksembles(members=4, scale=1.5), {}, {},
        "members of masksembles share weights",
    ),
    "other widths": (
        Stacked([nn.Linear(5, 3), nn.Linear(4, 3)]), DeepEnsemble(members=2), {}, {}, "of other shapes: 1 and 2",
    ),
    "other masks": (Stacked([Masked(0.0), Masked(1.0)]), DeepEnsemble(members=2), {}, {}, "more than weights"),
    "too few members": (Stacked(networks(2)), Curve(members=2), {}, {}, "2 members do not determine the 3 vertices"),
    "four vertices": (Stacked(networks(3)), Espro(members=3), {}, {}, "give members = 4 or more"),
    "another seed": (Stacked(networks(6)), Espro(members=6), {}, {}, "do not lie where the seed 0 puts them"),
    "kept ones": (Stacked(networks(4)), Espro(members=4), {}, {"kept": True}, "give one member more"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_weight_space_says_why(case) -> None:
    module, method, record, given, said = REFUSED[case]
    with pytest.raises(NotApplicable, match=said):
        region_of(module, method, 0, record, **given)


def test_labels_are_needed() -> None:
    space = region(networks(2), DeepEnsemble(members=2)).space
    with pytest.raises(NotApplicable, match="needs labels"):
        looked_at(space, np.eye(2), IMAGES, SimpleNamespace(x=X, y=None), DECLARED)

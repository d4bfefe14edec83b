"""The last layer's posterior against a Hessian by brute force, and members against their heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.errors import UserError
from bench.functional.members.last_layer_laplace import laplace
from bench.models.base import Recipe
from bench.models.mlp import Mlp
from bench.models.training import initialise, preprocess, train
from bench.models.vit_tiny import VitTiny
from bench.networks.network import InputSpec
from bench.stats.streams import generator
from bench.uncertainty.last_layer_laplace import PRECISIONS, LastLayerLaplace

MODEL = Mlp(hidden=(5,))
RECIPE = Recipe(epochs=2)


def test_the_covariance_is_that_of_a_hessian_by_brute_force(digits) -> None:
    samples = digits.train.take(slice(0, 300))  # more than a batch
    network = train(initialise(MODEL, digits.input, 0), samples, digits.input, RECIPE, 0).double()
    x = preprocess(torch.from_numpy(samples.x), digits.input).double()
    with torch.no_grad():
        features = network[:-1](x)
    y = torch.from_numpy(samples.y)

    def loss(flat):
        weights = flat.view(10, 6)
        return functional.cross_entropy(features @ weights[:, :5].T + weights[:, 5], y, reduction="sum")

    layer = network[-1]
    flat = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().flatten()
    hessian = torch.autograd.functional.hessian(loss, flat)
    found = LastLayerLaplace().posterior(network.float(), samples, digits.input)
    wanted = torch.linalg.inv(hessian + found.precision * torch.eye(60, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(found.mean, flat.numpy(), atol=1e-6)
    assert np.abs(found.covariance() - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert PRECISIONS[0] < found.precision < PRECISIONS[-1]
    drawn = np.cov(found.samples(20_000, "test").T)
    assert np.abs(drawn - wanted).max() < 0.05 * np.abs(wanted).max()


def test_the_precision_has_the_highest_evidence_of_the_grid() -> None:
    """A model whose evidence is known: prior N(0, 1/τ) and Gaussian data, y ~ N(θ, H⁻¹) in each coordinate."""
    random = generator("test-laplace")
    precisions = np.logspace(-3, 3, 61)
    for _ in range(5):
        curvature = random.uniform(0.5, 5.0, 8)
        y = random.normal(0.0, np.sqrt(1 / curvature + 0.5))

        def log_evidence(tau, curvature=curvature, y=y):
            variance = 1 / curvature + 1 / tau
            mode = curvature * y / (curvature + tau)
            fit = -0.5 * (curvature * (y - mode) ** 2).sum()
            ours = fit + 0.5 * (8 * np.log(tau) - tau * mode @ mode - np.log(curvature + tau).sum())
            exact = -0.5 * (np.log(variance) + y**2 / variance).sum() - 0.5 * np.log(curvature).sum()
            assert ours == pytest.approx(exact)  # the formula, at the mode of this precision
            return mode

        mode = log_evidence(2.0)
        turned = np.linalg.qr(random.standard_normal((8, 8)))[0]
        found = laplace(turned @ mode, turned @ np.diag(curvature) @ turned.T, precisions)
        scores = [
            4 * np.log(tau) - 0.5 * tau * mode @ mode - 0.5 * np.linalg.slogdet(np.diag(curvature + tau))[1]
            for tau in precisions
        ]
        assert found.precision == precisions[int(np.argmax(scores))]


def test_members_are_the_trunk_with_their_heads_and_cost_a_head_each(digits) -> None:
    method = LastLayerLaplace(members=3)
    made = method.train(MODEL, digits.train, digits.input, RECIPE, 0, lambda line: None)
    x = torch.from_numpy(digits.evaluation.x[:7])
    with torch.no_grad():
        features, answers = made[:-1](x), made(x)
    head = made[-1][0]
    for member in range(3):
        rows = slice(10 * member, 10 * member + 10)
        alone = functional.linear(features, head.weight[rows], head.bias[rows])
        torch.testing.assert_close(answers[:, member], alone)
    single = sum(part.numel() for part in MODEL.build(digits.input).parameters())
    assert sum(part.numel() for part in made.parameters()) == single + 2 * 60


def test_refusals(digits) -> None:
    with pytest.raises(UserError, match="the recipe has 0 epochs"):
        LastLayerLaplace().check(MODEL, digits.input, Recipe(epochs=0))
    with pytest.raises(UserError, match="has 5010 weights"):
        LastLayerLaplace().check(Mlp(hidden=(500,)), digits.input, RECIPE)
    LastLayerLaplace().check(VitTiny(width=16, heads=2, depth=1, patch=2), digits.input, RECIPE)
    probabilities = InputSpec((1, 8, 8), tuple("0123456789"), output="probabilities")
    with pytest.raises(UserError, match="no linear layer puts out the class scores"):
        LastLayerLaplace().check(MODEL, probabilities, RECIPE)

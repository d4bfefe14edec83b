"""Points of weight space: at vertices their very weights, gradients of sums, and spaces recovered from members."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.functional.members.curves import bezier_weights, parameters_along
from bench.functional.members.simplexes import log_volume as measured_log_volume
from bench.models.convnet import Convnet
from bench.models.training import initialise
from bench.networks.members import Stacked
from bench.networks.network import InputSpec
from bench.uncertainty.weight_space import (
    WeightSpace,
    in_simplex,
    log_volume,
    mean_squared_cosine,
    on_curve,
    on_line,
    recovered,
)
from bench.uncertainty.weight_vectors import weight_vector

DECLARED = InputSpec((1, 8, 8), tuple("0123456789"))
MODEL = Convnet(widths=(3, 4), strides=(2, 2))


def vertices(count):
    return [initialise(MODEL, DECLARED, seed) for seed in range(count)]


def test_a_pass_in_training_is_the_network_at_the_point_and_its_gradient_is_shared_out() -> None:
    three, point, x = vertices(3), np.array([[0.2, 0.5, 0.3]]), torch.randn(6, 1, 8, 8)
    space = WeightSpace(three, lambda: point, frozen=(1,)).train()
    there = space.at(point[0]).train()
    answer = space(x)
    torch.testing.assert_close(answer, there(x))
    answer.logsumexp(dim=1).sum().backward()
    there(x).logsumexp(dim=1).sum().backward()
    for name, wanted in there.named_parameters():
        gradients = [vertex.get_parameter(name).grad for vertex in space.vertices]
        assert gradients[1] is None
        torch.testing.assert_close(gradients[0], 0.2 * wanted.grad, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(gradients[2], 0.3 * wanted.grad, rtol=1e-4, atol=1e-6)
    for number, vertex in enumerate(three):
        np.testing.assert_array_equal(weight_vector(space.at(np.eye(3)[number])), weight_vector(vertex))


def test_draws_lie_in_the_shape_with_its_moments() -> None:
    torch.manual_seed(0)
    line = np.concatenate([on_line() for _ in range(4000)])
    curve = np.concatenate([on_curve() for _ in range(4000)])
    simplex = in_simplex(3, 4000)
    for rows in (line, curve, simplex):
        assert rows.min() >= 0
        np.testing.assert_allclose(rows.sum(axis=1), 1)
        np.testing.assert_allclose(rows.mean(axis=0), 1 / rows.shape[1], atol=0.02)
    np.testing.assert_allclose(line.var(axis=0), 1 / 12, atol=0.005)
    np.testing.assert_allclose(simplex.var(axis=0), 1 / 18, atol=0.005)  # (1/3)(2/3) / 4
    np.testing.assert_allclose(curve[:, 1].max(), 0.5, atol=1e-4)


def test_several_points_a_pass_and_the_shapes_own_numbers() -> None:
    space = WeightSpace(vertices(3), lambda: in_simplex(3, 4)).train()
    assert space(torch.randn(5, 1, 8, 8)).shape == (5, 4, 10)
    table = np.stack([weight_vector(vertex) for vertex in space.vertices])
    assert float(log_volume(space).detach()) == pytest.approx(measured_log_volume(table), rel=1e-6)
    flat = [
        np.concatenate([vertex.get_parameter(f"{name}.weight").detach().numpy().ravel() for name in layers])
        for layers in [("conv1", "conv2", "classifier")]
        for vertex in space.vertices
    ]
    unit = np.stack([row / np.linalg.norm(row) for row in flat])
    gram = unit @ unit.T
    wanted = (gram[0, 1] ** 2 + gram[0, 2] ** 2 + gram[1, 2] ** 2) / 3
    assert float(mean_squared_cosine(space).detach()) == pytest.approx(wanted, rel=1e-4)


def test_members_give_the_space_back() -> None:
    space = WeightSpace(vertices(3), lambda: in_simplex(3))
    points = in_simplex(3, 5)
    found = recovered(Stacked([space.at(point) for point in points]), points)
    for ours, theirs in zip(found.vertices, space.vertices, strict=True):
        np.testing.assert_allclose(weight_vector(ours), weight_vector(theirs), atol=1e-5)
    points = bezier_weights(parameters_along(6))
    found = recovered(Stacked([space.at(point) for point in points]), points)
    for end in (0, 2):  # which are members: to the last bit, whatever the others were rounded to
        np.testing.assert_array_equal(weight_vector(found.vertices[end]), weight_vector(space.vertices[end]))
    with pytest.raises(ValueError, match="2 points do not determine 3 vertices"):
        recovered(Stacked([space.at(point) for point in points[:2]]), points[:2])

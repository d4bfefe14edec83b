"""Volumes of simplexes against Cayley-Menger in exact arithmetic, and uniform points."""

from __future__ import annotations

from fractions import Fraction
from math import factorial, log, sqrt

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from bench.functional.members.simplex_training import differentiable_log_volume
from bench.functional.members.simplexes import barycentric, log_volume


def determinant(rows):
    """Exact, by elimination of fractions."""
    table, value = [[Fraction(x) for x in row] for row in rows], Fraction(1)
    for i in range(len(table)):
        pivot = next((j for j in range(i, len(table)) if table[j][i]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != i:
            table[i], table[pivot], value = table[pivot], table[i], -value
        value *= table[i][i]
        for j in range(i + 1, len(table)):
            factor = table[j][i] / table[i][i]
            table[j] = [a - factor * b for a, b in zip(table[j], table[i], strict=True)]
    return value


def cayley_menger(vertices):
    """Squared volume, exact, of vertices of integers."""
    k = len(vertices) - 1
    between = [[sum((int(x) - int(y)) ** 2 for x, y in zip(a, b, strict=True)) for b in vertices] for a in vertices]
    bordered = [[0] + [1] * (k + 1)] + [[1, *row] for row in between]
    return Fraction((-1) ** (k + 1), 2**k * factorial(k) ** 2) * determinant(bordered)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 6])
def test_the_volume_is_that_of_cayley_menger(k):
    random = np.random.default_rng(k)
    for _ in range(20):
        vertices = random.integers(-9, 10, size=(k + 1, k + int(random.integers(0, 3))))
        exact = cayley_menger(vertices)
        found = log_volume(vertices)
        assert found == (-np.inf if exact == 0 else pytest.approx(0.5 * log(exact), abs=1e-9))


def test_flat_simplexes_far_below_the_precision_of_cayley_menger():
    """A triangle of base 10^6 and height 1: V² = 2.5e11 and distances whose squares are 1e12 and 1."""
    vertices = np.array([[0, 0, 0], [10**6, 0, 0], [5 * 10**5, 1, 0]])
    assert log_volume(vertices) == pytest.approx(0.5 * log(cayley_menger(vertices)), abs=1e-4)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_a_regular_simplex_in_many_dimensions(k):
    vertices = np.zeros((k + 1, 5000))
    vertices[:, : k + 1] = np.eye(k + 1)
    assert log_volume(vertices + 3.0) == pytest.approx(log(sqrt(k + 1) / factorial(k)), abs=1e-9)


def test_first_vertex_scale_and_rotation_do_not_matter():
    random = np.random.default_rng(0)
    vertices = random.normal(size=(5, 40))
    volume = log_volume(vertices)
    assert log_volume(vertices[[3, 1, 4, 0, 2]]) == pytest.approx(volume, abs=1e-10)
    for scale in (1e-200, 1e-3, 1e200):
        assert log_volume(scale * vertices) == pytest.approx(volume + 4 * log(scale), abs=1e-9)
    rotation = np.linalg.qr(random.normal(size=(40, 40)))[0]
    assert log_volume(vertices @ rotation + 1.0) == pytest.approx(volume, abs=1e-9)


def test_degenerate_simplexes_have_no_volume():
    random = np.random.default_rng(1)
    for d in (3, 100, 20_000):
        modes = random.normal(size=(3, d))
        inside = barycentric(1, 3, d) @ modes
        assert log_volume(np.vstack([modes, inside])) == -np.inf
        assert log_volume(np.vstack([modes, modes[1]])) == -np.inf
        assert log_volume(np.vstack([modes, modes[0]])) == -np.inf
        beside = inside + 1e-4 * random.normal(size=d) if d > 3 else None
        assert beside is None or np.isfinite(log_volume(np.vstack([modes, beside])))
    assert log_volume(random.normal(size=(5, 3))) == -np.inf
    assert log_volume(np.ones((1, 7))) == 0.0
    for wrong in (np.ones(3), np.ones((0, 3)), np.array([[np.nan, 1.0]])):
        with pytest.raises(ValueError, match="are needed"):
            log_volume(wrong)


@pytest.mark.parametrize("vertices", [2, 3, 6])
def test_points_are_uniform(vertices):
    """Beyond a weight t lies a simplex of size 1 − t: (1 − w)^k is uniform for every vertex."""
    drawn = barycentric(4000, vertices, "test", vertices)
    assert drawn.min() >= 0
    assert drawn.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    for weight in drawn.T:
        assert kstest((1 - weight) ** (vertices - 1), "uniform").pvalue > 1e-4
    n = vertices
    covariance = (np.eye(n) / n - 1 / n**2) / (n + 1)
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.004)
    assert (drawn == barycentric(4000, vertices, "test", vertices)).all()
    assert (drawn != barycentric(4000, vertices, "test", vertices + 1)).any()
    with pytest.raises(ValueError, match="without vertices"):
        barycentric(1, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_the_height(dtype):
    random = np.random.default_rng(2)
    for k in (1, 2, 5):
        vertices = torch.tensor(random.normal(size=(k + 1, 50)), dtype=dtype, requires_grad=True)
        volume = differentiable_log_volume(vertices)
        volume.backward()
        table = vertices.detach().double().numpy()
        assert volume.dtype == torch.float64
        assert volume.item() == pytest.approx(log_volume(table), abs=1e-10)
        for i in range(k + 1):
            others = np.delete(table, i, axis=0)
            side = table[i] - others[0]
            plane = (others[1:] - others[0]).T
            height = side - plane @ np.linalg.lstsq(plane, side, rcond=None)[0] if k > 1 else side
            precision = 1e-6 if dtype == torch.float32 else 1e-10
            assert vertices.grad[i].double().numpy() == pytest.approx(height / (height @ height), abs=precision)


def test_the_gradient_of_a_degenerate_simplex_is_refused():
    with pytest.raises(FloatingPointError, match="plane of the others"):
        differentiable_log_volume(torch.tensor([[0.0, 0.0], [2.0, 2.0], [1.0, 1.0]]))
    with pytest.raises(FloatingPointError, match="no length"):
        differentiable_log_volume(torch.ones(3, 4))
    for wrong in (torch.ones(1, 4), torch.ones(4, 2), torch.ones(4)):
        with pytest.raises(ValueError, match="are needed"):
            differentiable_log_volume(wrong)

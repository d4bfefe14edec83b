"""Lower ends reached on the operator: never above the norm, equal to it where the iteration converges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.functional.lipschitz.layer_norms.lanczos import convolution_lower, lanczos_lower, torch_operator
from bench.stats.streams import generator


def lower_of(matrix: np.ndarray, **options: object) -> float:
    return lanczos_lower(lambda v: matrix @ v, lambda u: matrix.T @ u, (matrix.shape[1],), **options)


@pytest.mark.parametrize("shape", [(1, 1), (3, 20), (20, 3), (30, 50), (60, 40)])
def test_it_is_at_most_the_norm_and_reaches_it(shape: tuple[int, int]) -> None:
    for seed in range(5):
        matrix = generator("lower ends", seed, *shape).normal(size=shape)
        exact = np.linalg.norm(matrix, 2)
        assert exact * (1 - 1e-6) <= lower_of(matrix, seed=seed) < exact


def test_a_wrong_adjoint_or_an_early_end_stays_below_the_norm() -> None:
    matrix = generator("wrong adjoint").normal(size=(40, 40))
    exact = np.linalg.norm(matrix, 2)
    other = generator("another matrix").normal(size=(40, 40))
    wrong = lanczos_lower(lambda v: matrix @ v, lambda u: other @ u, (40,))
    assert 0 < wrong < exact
    clustered = np.diag(np.linspace(1, 1.001, 500))
    assert 0.9 < lower_of(clustered, restarts=1) < 1.001


@pytest.mark.parametrize("matrix", [np.zeros((50, 50)), np.eye(50), np.diag([2.0] + [0.0] * 49)])
def test_degenerate_maps(matrix: np.ndarray) -> None:
    assert lower_of(matrix) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-6)


def test_rounding_never_puts_it_above_the_norm() -> None:
    """An isometry: every quotient is 1, some of them rounded up."""
    isometry = np.linalg.qr(generator("isometry").normal(size=(60, 60)))[0]
    assert 1 - 2e-9 < lower_of(isometry) < 1


def test_a_convolution_of_torch() -> None:
    kernel = generator("lower convolution").normal(size=(4, 2, 3, 2))
    basis = torch.eye(4 * 5 * 4, dtype=torch.float64).reshape(-1, 4, 5, 4)
    true = nn.functional.conv2d(basis, torch.from_numpy(kernel), None, 2, (1, 0), (1, 2), 2).flatten(1).numpy()
    found = convolution_lower(kernel, (5, 4), 2, (1, 0), (1, 2), 2)
    assert found == pytest.approx(np.linalg.norm(true, 2), rel=1e-6)
    assert found < np.linalg.norm(true, 2)


def test_the_bias_of_a_layer_does_not_count() -> None:
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect").double()
    with torch.no_grad():
        layer.bias.fill_(1e6)
    basis = torch.eye(2 * 16, dtype=torch.float64).reshape(-1, 2, 4, 4)
    true = (layer(basis) - layer(torch.zeros(1, 2, 4, 4, dtype=torch.float64))).detach().flatten(1).numpy()
    found = lanczos_lower(*torch_operator(lambda x: layer(x[None]), (2, 4, 4)), (2, 4, 4))
    assert found == pytest.approx(np.linalg.norm(true, 2), rel=1e-6)


def test_the_same_seed_gives_the_same_number() -> None:
    matrix = generator("seeds").normal(size=(50, 50))
    assert lower_of(matrix, seed=3) == lower_of(matrix, seed=3)


@pytest.mark.parametrize(
    ("answer", "words"), [(np.ones(3, np.float32), "float32"), (np.array([1.0, np.nan]), "NaN or infinity")]
)
def test_answers_that_are_no_float64_numbers(answer: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=f"the map answers {words}"):
        lanczos_lower(lambda v: answer, lambda u: u, (3,))

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.functional.jacobian import input_jacobian, spectral_norms


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (1, 5), (4, 4)])
def test_spectral_norms_agree_with_the_singular_values(shape: tuple[int, int]) -> None:
    matrices = np.random.default_rng(0).normal(size=(20, *shape))
    np.testing.assert_allclose(spectral_norms(matrices), np.linalg.norm(matrices, ord=2, axis=(1, 2)), rtol=1e-12)


@pytest.mark.parametrize("size", [0.0, 1e-200, 1e200])
def test_spectral_norms_neither_overflow_nor_vanish(size: float) -> None:
    np.testing.assert_allclose(spectral_norms(np.array([[[size, 0.0], [0.0, size / 2]]])), [size], rtol=1e-12)


def test_a_linear_network_has_its_centred_weight_as_jacobian() -> None:
    layer = nn.Linear(6, 4).double()
    weight = layer.weight.detach()
    found = input_jacobian(nn.Sequential(nn.Flatten(), layer), torch.rand(5, 1, 2, 3, dtype=torch.float64))
    assert found.shape == (5, 4, 6)
    torch.testing.assert_close(found, (weight - weight.mean(dim=0)).expand(5, 4, 6))


def test_it_agrees_with_torch_functional_jacobian() -> None:
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 4)).double()
    x = torch.rand(3, 1, 4, 4, dtype=torch.float64, generator=generator)
    for sample, found in zip(x, input_jacobian(module, x), strict=True):
        full = torch.autograd.functional.jacobian(lambda one: module(one[None])[0], sample).flatten(1)
        torch.testing.assert_close(found, full - full.mean(dim=0))


def test_an_output_that_ignores_the_input_has_a_zero_jacobian() -> None:
    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(x), 3)

    assert torch.equal(input_jacobian(Constant(), torch.rand(2, 1, 2, 2)), torch.zeros(2, 3, 4))

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn

from bench.functional.integrated_gradients import completeness_error, integrated_gradients, unit_interval_nodes


class Centred(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.module(x)
        return logits - logits.mean(dim=1, keepdim=True)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(6, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def target() -> torch.Tensor:
    return torch.tensor([0, 1, 2, 3, 0, 1])


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 4)).double()


def test_it_agrees_with_captum(network: nn.Module, x: torch.Tensor, target: torch.Tensor) -> None:
    baseline = torch.full_like(x, 0.25)
    expected = IntegratedGradients(Centred(network)).attribute(
        x, baselines=baseline, target=target, n_steps=20, method="gausslegendre"
    )
    found = integrated_gradients(network, x, baseline, target, steps=20)
    # the other one keeps its nodes and weights in float32
    torch.testing.assert_close(found.maps, expected.detach(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 5])
def test_a_linear_network_is_attributed_exactly(x: torch.Tensor, target: torch.Tensor, steps: int) -> None:
    layer = nn.Linear(16, 4).double()
    weight = layer.weight.detach() - layer.weight.detach().mean(dim=0)
    baseline = torch.full_like(x, 0.5)
    found = integrated_gradients(nn.Sequential(nn.Flatten(), layer), x, baseline, target, steps)
    torch.testing.assert_close(found.maps, weight[target].view_as(x) * (x - baseline))
    torch.testing.assert_close(found.maps.flatten(1).sum(dim=1), found.logit_change)
    assert completeness_error(found.maps.numpy(), found.logit_change.numpy()).max() < 1e-12


def test_more_nodes_complete_better(network: nn.Module, x: torch.Tensor, target: torch.Tensor) -> None:
    errors = []
    for steps in (2, 20, 200):
        found = integrated_gradients(network, x, torch.zeros_like(x), target, steps)
        errors.append(completeness_error(found.maps.numpy(), found.logit_change.numpy()).mean())
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_polynomials_are_integrated_exactly_up_to_their_degree() -> None:
    nodes, weights = unit_interval_nodes(5)
    for degree in range(10):
        np.testing.assert_allclose((weights * nodes**degree).sum(), 1 / (degree + 1), rtol=1e-12)
    assert abs((weights * nodes**10).sum() - 1 / 11) > 1e-9


def test_an_image_equal_to_its_baseline_has_a_zero_map_and_no_error(network: nn.Module, target: torch.Tensor) -> None:
    x = torch.full((6, 1, 4, 4), 0.5, dtype=torch.float64)
    found = integrated_gradients(network, x, x.clone(), target, steps=3)
    assert not found.maps.any()
    assert completeness_error(found.maps.numpy(), found.logit_change.numpy()).max() == 0

from __future__ import annotations

import pytest
import torch
from captum.attr import Saliency
from torch import nn

from bench.functional.input_gradients import input_gradient


class Centred(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.module(x)
        return logits - logits.mean(dim=1, keepdim=True)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 4))


def test_it_agrees_with_captum(network: nn.Module, x: torch.Tensor) -> None:
    target = torch.tensor([0, 1, 2, 3, 0, 1])
    expected = Saliency(Centred(network)).attribute(x.clone().requires_grad_(), target=target, abs=False)
    found = input_gradient(network, x, target)
    assert (found < 0).any()
    torch.testing.assert_close(found.float(), expected, rtol=1e-5, atol=1e-7)


def test_what_does_not_depend_on_the_input_has_no_gradient(x: torch.Tensor) -> None:
    found = input_gradient(lambda x: torch.zeros(len(x), 3), x, torch.zeros(6, dtype=torch.int64))
    assert found.shape == x.shape
    assert not found.any()
    assert not x.requires_grad

"""Grad-CAM beside captum's, and what it reads of networks of any code."""

from __future__ import annotations

import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional

from bench.functional.grad_cam import enlarged, grad_cam
from bench.networks.feature_maps import LastFeatureMap


def by_channels(x: torch.Tensor) -> torch.Tensor:
    """Two channels of a feature map, each the evidence for one class."""
    return x.mean(dim=(2, 3))


def test_a_network_of_two_channels_by_hand() -> None:
    """z_0 is the mean of channel 0: f = (z_0 − z_1) / 2, so that α = (1, −1) / 2 / positions."""
    features = torch.rand(3, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = by_channels(features)
    (gradient,) = torch.autograd.grad((logits[:, 0] - logits.mean(dim=1)).sum(), features)
    expected = (features[:, :1] - features[:, 1:]).relu() / 2 / 20
    torch.testing.assert_close(grad_cam(features.detach(), gradient), expected.detach())
    assert (expected == 0).any()


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, stride=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 4),
        ).eval()


def test_it_agrees_with_captum(network: nn.Module) -> None:
    x = torch.rand(5, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 3, 0])
    expected = LayerGradCam(network, network[5]).attribute(x, target=target, relu_attributions=True)
    with LastFeatureMap() as seen:
        logits = network(x.clone().requires_grad_())
    assert seen.convolved
    assert seen.reader == "adaptive_avg_pool2d"
    (gradient,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), seen.found)
    found = grad_cam(seen.found.detach(), gradient)
    torch.testing.assert_close(found.float(), expected.detach(), rtol=1e-5, atol=1e-7)
    size = LayerGradCam.interpolate(expected, (9, 9), interpolate_mode="bilinear")
    torch.testing.assert_close(enlarged(found, 9, 9).float(), size.detach(), rtol=1e-5, atol=1e-7)


class Squeezed(nn.Module):
    """A squeeze-and-excitation block in front of the last convolution, and a shortcut around it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.last = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = x * self.gate(x.mean(dim=(2, 3), keepdim=True)).sigmoid()
        self.read = functional.relu(self.last(x) + x)
        return self.head(self.read.mean((2, 3)))


def test_it_reads_what_the_head_reads_behind_gates_and_shortcuts() -> None:
    network = Squeezed()
    with LastFeatureMap() as seen:
        network(torch.rand(2, 1, 6, 6))
    assert seen.found is network.read
    assert not seen.holds_codes


class Whole(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, torch.ones(2, 1, 6, 6)).flatten(1)


def test_where_there_is_no_feature_map_it_says_so() -> None:
    for network, convolved in ((nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), False), (Whole(), False)):
        with LastFeatureMap() as seen:
            network(torch.rand(2, 1, 6, 6))
        assert (seen.convolved, seen.found) == (convolved, None)


def test_codes_are_told_from_reals_unless_they_are_averaged() -> None:
    codes = torch.arange(32.0).reshape(2, 1, 4, 4)
    for read, held in ((nn.Flatten(), True), (nn.AdaptiveAvgPool2d(1), False)):
        with LastFeatureMap() as seen:
            read(functional.conv2d(codes, torch.ones(1, 1, 1, 1)))
        assert seen.found is not None
        assert seen.holds_codes is held

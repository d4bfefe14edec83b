from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.functional.attacks.logit_margins import negative_log_odds, wrong_margin
from bench.functional.attacks.pgd import pgd
from bench.functional.attacks.target_order import target_order


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 4)).eval()


def linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return nn.Sequential(nn.Flatten(), layer).eval()


@pytest.mark.parametrize("confidence", [1.0, 1e4])
def test_it_succeeds_just_above_the_exact_distance_and_fails_just_below(confidence: float) -> None:
    # two classes: the l-infinity distance to the boundary is |margin| / ‖w_0 − w_1‖₁, also where softmax saturates
    weight, x = confidence * (draw(2, 9) - 0.5), draw(40, 1, 3, 3, seed=1)
    module = linear(weight, confidence * torch.tensor([0.05, -0.05]))
    logits = module(x).detach()
    labels = logits.argmax(dim=1)
    distance = (logits[:, 0] - logits[:, 1]).abs() / (weight[0] - weight[1]).abs().sum()
    starts = 2 * draw(40, 1, 3, 3, seed=2) - 1
    for factor, fooled in ((1.001, True), (0.999, False)):
        for i in range(len(x)):
            found = pgd(
                module, x[i : i + 1], labels[i : i + 1], starts[i : i + 1],
                epsilon=factor * float(distance[i]), steps=10, relative_stepsize=0.25, bounds=(-10.0, 10.0),
            )  # fmt: skip
            assert (module(found.last).argmax(dim=1) != labels[i]).item() is fooled
            assert (module(found.strongest).argmax(dim=1) != labels[i]).item() is fooled


def test_candidates_stay_in_the_ball_and_in_the_bounds(network: nn.Module) -> None:
    x, labels = draw(16, 1, 4, 4), torch.arange(16) % 4
    starts = 2 * draw(16, 1, 4, 4, seed=1) - 1
    found = pgd(network, x, labels, starts, epsilon=0.3, steps=7, relative_stepsize=0.4, bounds=(0.0, 1.0))
    for candidate in (found.last, found.strongest):
        assert (candidate - x).abs().max() <= 0.3 + 1e-6
        assert candidate.min() >= 0
        assert candidate.max() <= 1
        assert (candidate - x).abs().max() > 0.29


def test_the_strongest_iterate_is_at_least_as_strong_as_the_start(network: nn.Module) -> None:
    x, labels = draw(16, 1, 4, 4), torch.arange(16) % 4
    starts = 2 * draw(16, 1, 4, 4, seed=1) - 1
    found = pgd(network, x, labels, starts, epsilon=0.2, steps=5, relative_stepsize=2.0, bounds=(0.0, 1.0))
    first = wrong_margin(network((x + 0.2 * starts).clamp(0, 1)).detach(), labels)
    strongest = wrong_margin(network(found.strongest).detach(), labels)
    assert (strongest >= first - 1e-6).all()
    assert (strongest > first + 1e-3).any()


def test_the_step_has_the_sign_of_the_cross_entropy_and_does_not_vanish(network: nn.Module) -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 2])
    (ours,) = torch.autograd.grad(negative_log_odds(logits, labels).sum(), logits)
    (theirs,) = torch.autograd.grad(nn.functional.cross_entropy(logits, labels, reduction="sum"), logits)
    ratio = ours / theirs  # one positive factor a sample
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert (ratio > 0).all()
    saturated = torch.tensor([[500.0, 0.0, 0.0]], requires_grad=True)
    (ours,) = torch.autograd.grad(negative_log_odds(saturated, labels[:1]).sum(), saturated)
    (theirs,) = torch.autograd.grad(nn.functional.cross_entropy(saturated, labels[:1]), saturated)
    assert not theirs.any()
    torch.testing.assert_close(ours, torch.tensor([[-1.0, 0.5, 0.5]]))


def test_a_zero_first_gradient_is_told(network: nn.Module) -> None:
    dead = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4)).eval()
    with torch.no_grad():
        dead[0].bias.fill_(-100.0)
    x, labels, starts = draw(3, 1, 4, 4), torch.zeros(3, dtype=torch.int64), torch.zeros(3, 1, 4, 4)
    arguments = {"epsilon": 0.1, "steps": 2, "relative_stepsize": 0.5, "bounds": (0.0, 1.0)}
    assert pgd(dead, x, labels, starts, **arguments).zero_gradient.all()
    assert not pgd(network, x, labels, starts, **arguments).zero_gradient.any()


def test_the_global_generator_is_left_alone(network: nn.Module) -> None:
    before = torch.random.get_rng_state()
    x = draw(3, 1, 4, 4)
    labels = torch.zeros(3, dtype=torch.int64)
    pgd(network, x, labels, torch.zeros_like(x), epsilon=0.1, steps=2, relative_stepsize=0.5, bounds=(0.0, 1.0))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_gradient_that_is_not_a_number_hides_no_target() -> None:
    """The first pixel's gradient is not a number; by the second class 1 is .5 / .01 away, and class 2 is 2 / 10."""

    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            root, off = (x[:, 0] * 0).sqrt(), x[:, 1] - 0.5
            return torch.stack([torch.ones_like(off), 0.5 + 0.01 * off + root, 10 * off - 1], dim=1)

    order = target_order(Broken(), torch.tensor([[0.3, 0.5]]), torch.tensor([0]))
    assert order.tolist() == [[2, 1]]

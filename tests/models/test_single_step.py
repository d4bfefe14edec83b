"""The single-step attack: where it ends, and that it raises the loss."""

import pytest
import torch
from torch import nn

from bench.models.single_step import STEP, single_step

EPSILON = 0.1


def own(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_linear_loss_by_hand():
    """The gradient is the weight, so the end is the start moved by 1.25 epsilon, cut to epsilon and to the bounds."""
    x = torch.full((500, 1, 1, 3), 0.5)
    weight = torch.tensor([1.0, -2.0, 0.0])
    found = single_step(x, lambda images: (images * weight).sum(), EPSILON, (0.0, 1.0), own()) - x
    start = (torch.rand(x.shape, generator=own()) * 2 - 1) * EPSILON
    wanted = (start + STEP * EPSILON * weight.sign()).clamp(-EPSILON, EPSILON)
    torch.testing.assert_close(found, wanted)
    assert bool((found[..., 0] >= 0.25 * EPSILON - 1e-6).all())
    assert bool((found[..., 1] <= -0.25 * EPSILON + 1e-6).all())
    assert 0.04 < float(found[..., 2].abs().mean()) < 0.06  # no gradient: the random start stays


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.45, 0.55)])
def test_it_stays_near_and_inside(bounds):
    low, high = bounds
    x = torch.rand(64, 1, 4, 4, generator=own()) * (high - low) + low
    before = x.clone()
    found = single_step(x, lambda images: (images**3).sum(), EPSILON, bounds, own(1))
    assert float((found - x).abs().max()) <= EPSILON + 1e-6
    assert torch.equal(found, found.clamp(low, high))
    assert torch.equal(x, before)
    assert not found.requires_grad


def test_it_raises_the_loss_and_leaves_no_gradient():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 3))
    x, y = torch.rand(64, 1, 4, 4, generator=own()), torch.randint(0, 3, (64,), generator=own())

    def loss(images):
        return nn.functional.cross_entropy(module(images), y)

    state = torch.get_rng_state()
    attacked = single_step(x, loss, EPSILON, (0.0, 1.0), own())
    assert torch.equal(attacked, single_step(x, loss, EPSILON, (0.0, 1.0), own()))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in module.parameters())
    random = (x + (torch.rand(x.shape, generator=own(2)) * 2 - 1) * EPSILON).clamp(0, 1)
    with torch.no_grad():
        assert float(loss(attacked)) > float(loss(random)) + 0.02

"""The loop that all training shares."""

from __future__ import annotations

import itertools

import pytest
import torch

from bench.errors import UserError
from bench.models.descent import Descent, batches, descend


@pytest.mark.parametrize("n", [1, 2, 5, 8, 9])
@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("least", [1, 2])
def test_batches_hold_every_sample_once_and_none_is_too_small(n, size, least):
    found = batches(n, size, least)
    assert [row for start, stop in found for row in range(start, stop)] == list(range(n))
    assert all(stop - start == size for start, stop in found[:-1])
    if n >= least and size >= least:
        assert all(stop - start >= least for start, stop in found)


def rates(schedule: str, epochs: int = 2, n: int = 8, size: int = 2) -> list[float]:
    """The step of a weight under a constant gradient: AdamW moves by the learning rate itself."""
    weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    seen = []

    def loss(index: torch.Tensor) -> torch.Tensor:
        seen.append(weight.item())
        return weight * 1.0

    descent = Descent(epochs, 0.1, 0.0, schedule)
    descend([weight], loss, batches(n, size), descent, torch.Generator().manual_seed(0), lambda line: None)
    seen.append(weight.item())
    return [a - b for a, b in itertools.pairwise(seen)]


def test_schedules_go_up_and_down_down_or_not_at_all():
    assert rates("constant") == pytest.approx([0.1] * 8)
    cosine = rates("cosine")
    assert cosine[0] == pytest.approx(0.1)
    assert cosine[4] == pytest.approx(0.05)
    assert all(a > b for a, b in itertools.pairwise(cosine))
    cycle = rates("one-cycle")
    assert cycle.index(max(cycle)) not in (0, 7)
    assert max(cycle) <= 0.1 * (1 + 1e-6)


def test_every_epoch_shows_every_sample_in_an_order_of_the_generator_alone():
    def orders(seed: int) -> list[list[int]]:
        weight = torch.nn.Parameter(torch.zeros(()))
        seen: list[int] = []

        def loss(index: torch.Tensor) -> torch.Tensor:
            seen.extend(index.tolist())
            return weight * 1.0

        own = torch.Generator().manual_seed(seed)
        descend([weight], loss, batches(7, 3), Descent(2, 0.1, 0.0), own, lambda line: None)
        return [seen[:7], seen[7:]]

    torch.manual_seed(1)
    first = orders(0)
    torch.manual_seed(2)
    assert first == orders(0) != orders(1)
    assert [sorted(order) for order in first] == [list(range(7))] * 2
    assert first[0] != first[1]


def test_the_loss_told_is_the_mean_over_samples_not_over_batches():
    weight = torch.nn.Parameter(torch.zeros(()))
    costs = torch.tensor([1.0, 2.0, 6.0])
    told: list[str] = []
    own = torch.Generator().manual_seed(0)
    descend(
        [weight],
        lambda index: costs[index].mean() + 0 * weight,
        batches(3, 2, 1),
        Descent(1, 0.1, 0.0),
        own,
        told.append,
    )
    assert told == ["epoch 1/1: loss 3.0000"]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_the_users_key(odd):
    weight = torch.nn.Parameter(torch.zeros(()))
    descent = Descent(1, 0.1, 0.0, key="recipe.learning_rate")
    with pytest.raises(UserError, match=r"recipe\.learning_rate: .*not finite in epoch 1"):
        descend([weight], lambda index: weight * odd + odd, batches(2, 2), descent, torch.Generator(), print)

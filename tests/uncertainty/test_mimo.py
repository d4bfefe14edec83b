"""Inputs of MIMO: which samples the members are given, and that one member is the plain network."""

from __future__ import annotations

import pytest
import torch

from bench.errors import UserError
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.training import initialise, train
from bench.uncertainty.mimo import MultiInputMultiOutput

MODEL, RECIPE = Convnet(widths=(8, 12), strides=(2, 2)), Recipe(epochs=1, batch=32)


def test_one_member_is_the_plain_network(digits) -> None:
    method = MultiInputMultiOutput(members=1, repeat=1)
    made = method.train(MODEL, digits.train, digits.input, RECIPE, 3, lambda line: None)
    plain = train(initialise(MODEL, digits.input, 3), digits.train, digits.input, RECIPE, 3)
    assert method.answers(digits.input) == digits.input
    assert all(torch.equal(*pair) for pair in zip(made.state_dict().values(), plain.state_dict().values(), strict=True))
    x = torch.from_numpy(digits.evaluation.x)
    assert torch.equal(made(x), plain(x))


@pytest.mark.parametrize("same", [0.0, 0.25, 1.0])
def test_members_are_given_every_sample_as_often_and_the_declared_share_together(same) -> None:
    method = MultiInputMultiOutput(members=3, same=same, repeat=4)
    rows = method.rows(50, torch.Generator().manual_seed(0))
    assert rows.shape == (3, 200)
    assert all(torch.equal(own.bincount(), torch.full((50,), 4)) for own in rows)
    together = float(((rows[0] == rows[1]) & (rows[0] == rows[2])).float().mean())
    assert same <= together < same + 0.02


def test_each_head_learns_its_own_input(digits) -> None:
    method = MultiInputMultiOutput(members=2, repeat=2)
    made = method.train(MODEL, digits.train, digits.input, Recipe(epochs=8, batch=32), 0, lambda line: None)
    x, y = torch.from_numpy(digits.evaluation.x), torch.from_numpy(digits.evaluation.y)
    scores = made.heads(torch.cat([x, x.flip(0)], dim=1)).argmax(dim=-1)
    own = [(scores[:, 0] == y).float().mean(), (scores[:, 1] == y.flip(0)).float().mean()]
    crossed = [(scores[:, 0] == y.flip(0)).float().mean(), (scores[:, 1] == y).float().mean()]
    assert min(own) > 0.6 > 0.3 > max(crossed)


def test_a_batch_that_repetitions_do_not_divide_is_refused(digits) -> None:
    with pytest.raises(UserError, match="a batch of 30 does not hold each sample 4 times"):
        MultiInputMultiOutput().check(MODEL, digits.input, Recipe(batch=30))

"""Snapshots are the states of one training at the ends of its cycles."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from bench.errors import UserError
from bench.models.base import Recipe
from bench.models.mlp import Mlp
from bench.uncertainty.snapshot_ensemble import SnapshotEnsemble


def weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_a_cycle_starts_where_the_last_one_ended_and_falls_to_rest(digits, monkeypatch) -> None:
    from bench.models import training

    starts, seen = [], []
    real, descend = training.train, training.descend
    monkeypatch.setattr(training, "train", lambda module, *rest: starts.append(weights(module)) or real(module, *rest))

    def watched(parameters, loss, steps, descent, *rest):
        parameters = list(parameters)
        before = []

        def each(index):
            before.append(weights(torch.nn.ParameterList(parameters)).clone())
            return loss(index)

        descend(parameters, each, steps, descent, *rest)
        seen.append([float((b - a).norm()) for a, b in pairwise(before)])

    monkeypatch.setattr(training, "descend", watched)
    lines = []
    method = SnapshotEnsemble(members=2)
    made = method.train(Mlp(hidden=(12,)), digits.train, digits.input, Recipe(epochs=4), 0, lines.append)
    first, second = made.members
    assert torch.equal(starts[1], weights(first))
    assert not torch.equal(weights(first), weights(second))
    assert [line.split(":")[0] for line in lines] == [
        "cycle 1/2", "epoch 1/2", "epoch 2/2", "cycle 2/2", "epoch 1/2", "epoch 2/2"
    ]  # fmt: skip
    for lengths in seen:  # at the peak a step is far longer than at the end of the cycle
        assert sum(lengths[:3]) > 20 * sum(lengths[-3:])


@pytest.mark.parametrize("epochs", [0, 1, 5])
def test_epochs_that_the_cycles_do_not_divide_are_refused(digits, epochs) -> None:
    with pytest.raises(UserError, match=f"2 cycles do not divide {epochs} epochs"):
        SnapshotEnsemble(members=2).check(Mlp(), digits.input, Recipe(epochs=epochs))


def test_a_diverging_cycle_names_its_epoch(digits) -> None:
    recipe = Recipe(epochs=2, learning_rate=1e30)
    with pytest.raises(UserError, match="not finite in epoch 1"):
        SnapshotEnsemble(members=2).train(Mlp(), digits.train, digits.input, recipe, 0, lambda line: None)

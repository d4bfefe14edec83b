"""Deep ensembles, their fair rivals, and resamples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.functional.module_cost import multiply_accumulates
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.lenet5 import LeNet5
from bench.models.training import initialise
from bench.uncertainty.bagging import Bagging
from bench.uncertainty.deep_ensemble import DeepEnsemble

MODEL = Convnet(widths=(16, 32), strides=(2, 2))


def test_narrower_members_cost_together_what_one_network_does(digits) -> None:
    one, _ = multiply_accumulates(initialise(MODEL, digits.input, 0), digits.input.shape)
    module = DeepEnsemble(members=4, equal="macs").build(MODEL, digits.input)
    together, _ = multiply_accumulates(module, digits.input.shape)
    assert together == pytest.approx(one, rel=0.2)
    assert module(torch.zeros(2, 1, 8, 8)).shape == (2, 4, 10)


def test_shared_epochs_are_as_many_as_one_network_has(digits) -> None:
    told: list[str] = []
    DeepEnsemble(members=2, equal="epochs").train(
        MODEL, digits.train, digits.input, Recipe(epochs=4, batch=128), 0, told.append
    )
    assert sum(line.startswith("epoch") for line in told) == 4


def test_what_cannot_be_shared_out_is_refused(digits) -> None:
    with pytest.raises(UserError, match="3 epochs are fewer than 5 members"):
        DeepEnsemble(equal="epochs").check(MODEL, digits.input, Recipe(epochs=3))
    with pytest.raises(UserError, match="'lenet5' has no width to scale"):
        DeepEnsemble(equal="macs").check(LeNet5(), digits.input, Recipe())


def test_a_resample_holds_the_share_of_a_bootstrap(digits) -> None:
    first, second = (Bagging().share(digits.train, seed) for seed in (0, 1))
    assert len(first.x) == len(digits.train.x)
    rows = {image.tobytes() for image in first.x}
    assert len(rows) / len({image.tobytes() for image in digits.train.x}) == pytest.approx(1 - np.exp(-1), abs=0.03)
    assert not np.array_equal(first.y, second.y)

"""Training depends on its seed and on nothing else, and it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.data.base import Samples
from bench.data.digits import Digits
from bench.errors import UserError
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.models.training import accuracy, initialise, preprocess, reproducible, train


@pytest.fixture(scope="module")
def digits():
    return Digits().load(360, 128)


def equal(one, two):
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_default_recipe_reaches_97_percent(digits):
    told = []
    trained = train(initialise(Convnet(), digits.input, 0), digits.train, digits.input, Recipe(), 0, told.append)
    assert accuracy(trained, digits.evaluation, digits.input) >= 0.97
    assert len(told) == 20
    assert told[-1].startswith("epoch 20/20: loss 0.0")
    assert not trained.training
    assert all(parameter.grad is None for parameter in trained.parameters())


def run(digits, seed=0, threads=1, disturb=False):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    if disturb:
        torch.rand(7)
    try:
        module = initialise(Convnet(), digits.input, seed)
        return train(module, digits.train, digits.input, Recipe(epochs=1), seed)
    finally:
        torch.set_num_threads(before)


def test_two_trainings_are_equal_to_the_last_bit(digits):
    first = run(digits)
    assert equal(first, run(digits, disturb=True))
    assert equal(first, run(digits, threads=2))
    assert not equal(first, run(digits, seed=1))


def test_dropout_is_seeded_too(digits):
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
    first = train(module, digits.train, digits.input, Recipe(epochs=1), 3)
    torch.rand(5)
    assert equal(first, train(module, digits.train, digits.input, Recipe(epochs=1), 3))


def test_nothing_global_is_left_changed(digits):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    module = initialise(Mlp(batch_norm=True), digits.input, 0)
    copied = {name: value.clone() for name, value in module.state_dict().items()}
    train(module, digits.train, digits.input, Recipe(epochs=1), 0)
    accuracy(module.train(), digits.evaluation, digits.input)
    assert module.training
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(value, copied[name]) for name, value in module.state_dict().items())
    with pytest.raises(KeyError), reproducible("x"):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), state)


def test_no_epochs_change_nothing(digits):
    module = initialise(Mlp(), digits.input, 0)
    assert equal(module, train(module, digits.train, digits.input, Recipe(epochs=0), 0))


def test_a_last_batch_of_one_does_not_stop_batch_norm(digits):
    samples = digits.train.take(slice(0, 65))
    train(initialise(Mlp(batch_norm=True), digits.input, 0), samples, digits.input, Recipe(epochs=1, batch=64), 0)
    train(initialise(Mlp(), digits.input, 0), samples.take(slice(0, 1)), digits.input, Recipe(epochs=1, batch=1), 0)


def test_preprocessing_belongs_to_training(digits):
    """Images scaled by 255 with mean and std declared to match train the same network."""
    declared = replace(digits.input, bounds=(0.0, 256.0), mean=(128.0,), std=(0.5,))
    scaled = Samples(digits.train.ids, digits.train.x * np.float32(256), digits.train.y)
    shifted = replace(digits.input, mean=(0.5,), std=(0.5 / 256,))
    module = initialise(Mlp(), digits.input, 0)
    one = train(module, scaled, declared, Recipe(epochs=1, learning_rate=1e-4), 0)
    two = train(module, digits.train, shifted, Recipe(epochs=1, learning_rate=1e-4), 0)
    assert equal(one, two)
    assert not equal(one, train(module, digits.train, digits.input, Recipe(epochs=1, learning_rate=1e-4), 0))


def test_preprocess_by_hand(digits):
    declared = replace(digits.input, shape=(2, 1, 1), mean=(1.0, 2.0), std=(2.0, 4.0))
    x = torch.tensor([[[[3.0]], [[10.0]]]])
    assert preprocess(x, declared).flatten().tolist() == [1.0, 2.0]
    assert preprocess(x, digits.input) is x


def test_probabilities_are_trained_as_probabilities(digits):
    """Softmax at the end and the right loss give the gradient of cross entropy on the logits."""
    logits = initialise(Mlp(hidden=()), digits.input, 0)
    declared = replace(digits.input, output="probabilities")
    recipe = Recipe(epochs=1, batch=128)  # several steps: the first step of Adam sees signs alone
    one = train(logits, digits.train, digits.input, recipe, 0)
    two = train(nn.Sequential(*logits, nn.Softmax(dim=1)), digits.train, declared, recipe, 0)
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_accuracy_by_hand(digits):
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        module[1].weight.zero_()
        module[1].bias.copy_(torch.nn.functional.one_hot(torch.tensor(3), 10).float())
    assert accuracy(module, digits.evaluation, digits.input) == float((digits.evaluation.y == 3).mean())


def test_errors(digits):
    module = initialise(Mlp(), digits.input, 0)
    unlabelled = Samples(digits.train.ids, digits.train.x, None)
    for samples in (unlabelled, digits.train.take(slice(0, 0))):
        with pytest.raises(UserError, match="training needs labelled samples"):
            train(module, samples, digits.input, Recipe(), 0)
        with pytest.raises(UserError, match="accuracy needs labelled samples"):
            accuracy(module, samples, digits.input)
    with pytest.raises(UserError, match=r"recipe\.learning_rate: the loss is not finite in epoch 1; give less than"):
        train(module, digits.train, digits.input, Recipe(epochs=2, learning_rate=1e30), 0)

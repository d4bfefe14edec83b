"""Training depends on its seed and on nothing else, and it learns."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.canonical_form.trace import canonical_form
from bench.data.base import Samples
from bench.data.digits import Digits
from bench.errors import UserError
from bench.functional.lipschitz.certified_radii import certified_radii
from bench.functional.lipschitz.graph_bounds.margins import pair_constants
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.models.training import accuracy, cross_entropy, fast_layout, initialise, preprocess, reproducible, train


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


OPTIONS = {
    "shift": {"augmentation": "shift"},
    "flip-shift": {"augmentation": "flip-shift"},
    "smoothing": {"label_smoothing": 0.1},
    "adversarial": {"adversarial_epsilon": 0.1, "augmentation": "shift"},
    "margin": {"lipschitz_margin": 0.05},
    "threads": {"threads": 2},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_option_is_deterministic_and_does_something(digits, options):
    def trained(outside=1, seed=0, **chosen):
        before = torch.get_num_threads()
        torch.set_num_threads(outside)
        torch.rand(outside)
        try:
            module = initialise(Convnet(widths=(8, 8), strides=(1, 2)), digits.input, 0)
            return train(module, digits.train.take(slice(0, 400)), digits.input, Recipe(epochs=2, **chosen), seed)
        finally:
            torch.set_num_threads(before)

    found = trained(**options)
    assert equal(found, trained(outside=2, **options))
    assert not equal(found, trained(seed=1, **options))
    if options != {"threads": 2}:  # another count need not change a bit
        assert not equal(found, trained())


def test_threads_are_the_recipes_and_put_back(digits):
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return x

    before = torch.get_num_threads()
    module = nn.Sequential(Spy(), nn.Flatten(), nn.Linear(64, 10))
    train(module, digits.train.take(slice(0, 64)), digits.input, Recipe(epochs=1, threads=3), 0)
    assert set(seen) == {3}
    assert torch.get_num_threads() == before


def test_what_comes_in_by_a_shift_is_the_lower_bound(digits):
    """Images that are the lower bound everywhere stay what they are, so training does too."""
    declared = replace(digits.input, bounds=(-2.0, 1.0), mean=(0.3,), std=(0.2,))
    empty = Samples(digits.train.ids[:64], np.full((64, 1, 8, 8), -2.0, dtype=np.float32), digits.train.y[:64])
    module = initialise(Mlp(hidden=(8,)), declared, 0)
    plain, augmented = (
        train(module, empty, declared, Recipe(epochs=1, batch=16, augmentation=kind), 0)
        for kind in ("none", "flip-shift")
    )
    assert equal(plain, augmented)


def test_label_smoothing_by_hand(digits):
    logits, y = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]]), torch.tensor([0, 2])
    logs = logits.log_softmax(dim=1)
    wanted = -(0.7 * logs[torch.arange(2), y] + 0.3 * logs.mean(dim=1)).mean()
    torch.testing.assert_close(cross_entropy(logits, y, digits.input, 0.3), wanted)
    declared = replace(digits.input, output="probabilities")
    torch.testing.assert_close(cross_entropy(logits.softmax(dim=1), y, declared, 0.3), wanted)


def test_smoothed_networks_are_less_sure(digits):
    module = initialise(Mlp(), digits.input, 0)
    x = torch.from_numpy(digits.train.x)
    sure = []
    for smoothing in (0.0, 0.3):
        trained = train(module, digits.train, digits.input, Recipe(epochs=4, label_smoothing=smoothing), 0)
        with torch.no_grad():
            sure.append(float(trained(x).softmax(dim=1).amax(dim=1).mean()))
    assert sure[0] > 0.9
    assert abs(sure[1] - (0.7 + 0.03)) < 0.1  # the best constant answer: 1 - s + s / K


def test_adversarial_training_makes_robust(digits):
    module = initialise(Convnet(widths=(8, 16), strides=(1, 1), head="flatten"), digits.input, 0)
    robust = []
    for epsilon in (0.0, 0.15):
        recipe = Recipe(epochs=6, adversarial_epsilon=epsilon)
        trained = train(module, digits.train, digits.input, recipe, 0)
        assert accuracy(trained, digits.evaluation, digits.input) > 0.9
        robust.append(accuracy(trained, attacked(trained, digits.evaluation, 0.15), digits.input))
    assert robust[1] > robust[0] + 0.2, robust


def test_margin_training_certifies_more(digits):
    """Radii of LipLT: certified accuracy at .2 goes from nothing to most, and the accuracy stays."""
    module = initialise(Convnet(widths=(8, 16), strides=(2, 2)), digits.input, 0)
    x, y = torch.from_numpy(digits.evaluation.x), digits.evaluation.y
    certified = []
    for margin in (0.0, 0.05):
        trained = train(module, digits.train, digits.input, Recipe(epochs=8, lipschitz_margin=margin), 0)
        with torch.no_grad():
            logits = trained(x).double().numpy()
        assert (logits.argmax(axis=1) == y).mean() > 0.95
        radii = certified_radii(logits, pair_constants(canonical_form(trained, x[:8])))
        certified.append(float(((radii >= 0.2) & (logits.argmax(axis=1) == y)).mean()))
        assert not any(layer._forward_pre_hooks for layer in trained.modules())
    assert certified[0] < 0.05, certified
    assert certified[1] > 0.5, certified


def test_a_margin_is_in_the_users_units(digits):
    """The same training in other units: pixels twice as wide, a radius twice as large."""
    wide = Samples(digits.train.ids[:128], digits.train.x[:128] * 2, digits.train.y[:128])
    narrow = Samples(digits.train.ids[:128], digits.train.x[:128], digits.train.y[:128])
    module = initialise(Mlp(hidden=(8,)), digits.input, 0)
    double = replace(digits.input, bounds=(0.0, 2.0), std=(2.0,))
    one = train(module, narrow, digits.input, Recipe(epochs=1, batch=16, lipschitz_margin=0.2), 0)
    two = train(module, wide, double, Recipe(epochs=1, batch=16, lipschitz_margin=0.4), 0)
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"output": "probabilities"}, "probabilities have no margin"), ({"dtype": "uint8"}, "whole-number pixels")],
)
def test_margins_need_logits_and_a_gradient(digits, changes, reason):
    declared = replace(digits.input, **changes, **({"scale": 255.0} if "dtype" in changes else {}))
    with pytest.raises(UserError, match=reason):
        train(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), digits.train, declared, Recipe(lipschitz_margin=0.1), 0)


def attacked(module, samples, epsilon):
    """Ten signed gradient steps from the images themselves."""
    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    moved = x
    for _ in range(10):
        moved = moved.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(module(moved), y), moved)
        moved = (x + (moved.detach() - x + epsilon / 4 * gradient.sign()).clamp(-epsilon, epsilon)).clamp(0, 1)
    return Samples(samples.ids, moved.numpy(), samples.y)


def test_uint8_pixels_cannot_be_attacked(digits):
    declared = replace(digits.input, dtype="uint8", scale=255.0)
    with pytest.raises(UserError, match=r"recipe\.adversarial_epsilon: whole-number pixels give no gradient"):
        train(nn.Flatten(), digits.train, declared, Recipe(adversarial_epsilon=0.1), 0)


class Viewing(nn.Module):
    """A network whose ``view`` does not run on channels last."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)
        self.linear = nn.Linear(3 * 64, 10)

    def forward(self, x):
        return self.linear(self.two(self.one(x).relu()).view(len(x), -1))


def test_the_layout_of_memory_is_an_inner_matter(digits):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        viewing = Viewing()
    recipe, part = Recipe(epochs=2), digits.train.take(slice(0, 300))
    x = torch.from_numpy(part.x[:2])
    assert fast_layout(viewing, x) == torch.contiguous_format
    assert fast_layout(initialise(Mlp(), digits.input, 0), x) == torch.contiguous_format
    parts = {"one": viewing.one, "relu": nn.ReLU(), "two": viewing.two, "flat": nn.Flatten(), "linear": viewing.linear}
    reshaping = nn.Sequential(OrderedDict(parts))
    assert fast_layout(reshaping, x) == torch.channels_last
    one, two = (train(module, part, digits.input, recipe, 0) for module in (viewing, reshaping))
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    convnet = train(initialise(Convnet(), digits.input, 0), part, digits.input, recipe, 0)
    assert all(parameter.is_contiguous() for parameter in convnet.parameters())


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
    with pytest.raises(
        UserError, match=r"recipe\.learning_rate: the loss is not finite in epoch 1; give less than 1e\+30$"
    ):
        train(module, digits.train, digits.input, Recipe(epochs=2, learning_rate=1e30), 0)

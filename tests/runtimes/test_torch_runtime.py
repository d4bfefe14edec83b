from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.errors import NotDifferentiable, UserError
from bench.networks.network import InputSpec, TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.runtimes.torch_predictor import find_device

TARGET = Target(name="torch")


def test_preprocessing_is_inside(network, x):
    found = open_predictor(network, TARGET).logits(x)
    with torch.no_grad():
        expected = network.module((x - 0.3) / 0.4)
    assert found.shape == (1, len(x), 10)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0], expected, rtol=1e-5, atol=1e-5)


def test_batch_and_threads_change_no_more_than_the_last_bits(network, x):
    one, three = (open_predictor(network, TARGET), open_predictor(network, Target(name="t", threads=3)))
    three.batch_size = 7
    torch.testing.assert_close(one.logits(x), three.logits(x), rtol=1e-5, atol=1e-5)


def test_thread_count_is_the_targets_and_restored(network, x):
    seen = []

    class Noting(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network.module

        def forward(self, images):
            seen.append(torch.get_num_threads())
            return self.network(images)

    before = torch.get_num_threads()
    noting = TorchNetwork(Noting(), network.input)
    open_predictor(noting, Target(name="t", threads=before + 2)).logits(x)
    assert set(seen) == {before + 2}
    assert torch.get_num_threads() == before


def test_evaluation_mode_and_a_private_copy(network, x):
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10)).train()
    predictor = open_predictor(TorchNetwork(module, network.input), TARGET)
    first = predictor.logits(x)
    assert torch.equal(first, predictor.logits(x))
    assert module.training
    predictor.differentiable().train()
    assert torch.equal(first, predictor.logits(x))
    module[2].weight.data.zero_()
    assert torch.equal(first, predictor.logits(x))


def test_floor_is_float64_by_another_route(network, x):
    plain, floor = open_predictor(network, TARGET), open_predictor(network, TARGET, floor=True)
    found = floor.logits(x)
    assert found.dtype == torch.float64
    assert floor.batch_size != plain.batch_size
    difference = (found - plain.logits(x)).abs().max().item()
    assert 0 < difference < 1e-4
    double = (x.double() - 0.3) / 0.4  # preprocessing too is in float64
    with torch.no_grad():
        expected = floor.module(double)
    torch.testing.assert_close(found[0], expected, rtol=1e-12, atol=1e-12)


def test_floor_of_a_network_without_float64_stays_float32(network, x):
    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, images):
            return self.linear(images.float().flatten(1))

    floor = open_predictor(TorchNetwork(Single(), network.input), TARGET, floor=True)
    assert floor.logits(x).dtype == torch.float32


def test_quantised_floor_runs(quantised, x):
    plain, floor = open_predictor(quantised, TARGET), open_predictor(quantised, TARGET, floor=True)
    assert floor.logits(x).dtype == torch.float64
    assert (floor.logits(x) - plain.logits(x)).abs().median() < 0.1


def test_probabilities_become_logarithms(network, x):
    module = nn.Sequential(network.module, nn.Softmax(dim=1))
    declared = replace(network.input, output="probabilities")
    predictor = open_predictor(TorchNetwork(module, declared), TARGET)
    expected = open_predictor(network, TARGET).logits(x)
    torch.testing.assert_close(predictor.logits(x), expected, rtol=0, atol=0)
    assert predictor.spec.softmax == "removed"
    torch.testing.assert_close(predictor.as_shipped().logits(x), expected.softmax(-1), rtol=0, atol=0)
    torch.testing.assert_close(predictor.differentiable()(x), expected[0], rtol=1e-4, atol=1e-4)


def test_gradient_of_a_linear_network_in_user_space():
    linear = nn.Linear(4, 3)
    declared = InputSpec(shape=(1, 2, 2), classes=("a", "b", "c"), mean=(0.5,), std=(0.25,))
    network = TorchNetwork(nn.Sequential(nn.Flatten(), linear), declared)
    module = open_predictor(network, TARGET).differentiable()
    images = torch.rand(5, 1, 2, 2, requires_grad=True)
    logits = module(images)
    logits[:, 1].sum().backward()
    assert module.gradient == "exact"
    torch.testing.assert_close(images.grad.flatten(1), (linear.weight[1] / 0.25).detach().expand(5, 4))


def test_differentiable_gives_the_predictors_logits(network, quantised, x):
    for each in (network, quantised):
        predictor = open_predictor(each, TARGET)
        assert torch.equal(predictor.differentiable()(x), predictor.logits(x)[0])


def test_straight_through_gradient_of_a_quantised_network(network, quantised, x):
    grads = []
    for each in (network, quantised):
        module = open_predictor(each, TARGET).differentiable(gradient="straight_through")
        images = x[:32].clone().requires_grad_()
        module(images).amax(dim=1).sum().backward()
        grads.append(images.grad.flatten(1))
    assert module.gradient == "straight_through"
    assert torch.nn.functional.cosine_similarity(*grads).mean() > 0.95
    with pytest.raises(NotDifferentiable, match="zero almost everywhere"):
        open_predictor(quantised, TARGET).differentiable(gradient="hard")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:999"])
def test_missing_device_is_a_user_error(name):
    with pytest.raises(UserError, match=r"device: .*" + name.split(":")[0]):
        find_device(name)


def test_wrong_input_shape_and_class_count_are_user_errors(network):
    wide = replace(network.input, shape=(3, 8, 8))
    with pytest.raises(UserError, match=r"does not take a sample of shape \(3, 8, 8\)"):
        open_predictor(TorchNetwork(network.module, wide), TARGET)
    few = replace(network.input, classes=("a", "b"))
    with pytest.raises(UserError, match=r"shape \(1, 10\) for one sample; it must be \(1, 2\)"):
        open_predictor(TorchNetwork(network.module, few), TARGET)
    flat = TorchNetwork(nn.Sequential(network.module, nn.Flatten(0)), network.input)
    with pytest.raises(UserError, match="gives shape"):
        open_predictor(flat, TARGET)


def test_undeclared_classes_are_found_out(network, x):
    unknown = TorchNetwork(network.module, replace(network.input, classes=()))
    assert open_predictor(unknown, TARGET).logits(x[:1]).shape == (1, 1, 10)

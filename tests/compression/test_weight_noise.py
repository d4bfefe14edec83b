"""Weight noise: the amount asked for, of noise or of accuracy."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.compression.chains import run_step
from bench.compression.weight_noise import WeightNoise, tolerance
from bench.data.base import Samples
from bench.errors import NotApplicable, UserError
from bench.models.training import accuracy
from bench.networks.network import TorchNetwork


def seen(context):
    """Training and calibration samples, as the step may use them."""
    parts = (context.train, context.calibration)
    return Samples(
        parts[0].ids + parts[1].ids, np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts])
    )


def test_sigma_is_relative_to_each_tensor(network, context):
    made = run_step(WeightNoise(sigma=0.2), network, context)
    before, after = network.module.state_dict(), made.module.state_dict()
    for name in ("conv2.weight", "classifier.weight"):
        ratio = float((after[name] - before[name]).std() / before[name].std())
        assert abs(ratio - 0.2) < 0.2 * 3 / math.sqrt(2 * before[name].numel())
    for name in ("bn1.weight", "bn1.bias", "classifier.bias"):
        assert torch.equal(after[name], before[name])
    doubled = run_step(WeightNoise(sigma=0.4), network, context)
    step = doubled.module.state_dict()["conv2.weight"] - before["conv2.weight"]
    torch.testing.assert_close(step, 2 * (after["conv2.weight"] - before["conv2.weight"]), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.3])
def test_the_accuracy_loss_is_hit(network, context, loss):
    made = run_step(WeightNoise(accuracy_loss=loss), network, context)
    samples = seen(context)
    found = accuracy(network.module, samples, network.input) - accuracy(made.module, samples, network.input)
    assert abs(found - loss) <= tolerance(len(samples)) == 0.005
    assert made.record["record"]["accuracy_loss"] == found
    assert made.record["record"]["samples"] == len(samples)


def test_seeds_give_different_noise_of_the_same_loss(network, context):
    sigmas = {
        run_step(WeightNoise(accuracy_loss=0.05), network, replace(context, seed=seed)).record["record"]["sigma"]
        for seed in range(3)
    }
    assert len(sigmas) == 3


def test_a_loss_that_cannot_be_reached_is_said(network, context, digits):
    with pytest.raises(NotApplicable, match=r"no noise loses 0\.99 of the accuracy"):
        run_step(WeightNoise(accuracy_loss=0.99), network, context)
    unlabelled = replace(
        context, train=replace(context.train, y=None), calibration=replace(context.calibration, y=None)
    )
    with pytest.raises(UserError, match="accuracy_loss needs labelled"):
        run_step(WeightNoise(accuracy_loss=0.1), network, unlabelled)
    run_step(WeightNoise(sigma=0.1), network, unlabelled)
    bare = TorchNetwork(nn.Flatten(), digits.input, {})
    with pytest.raises(NotApplicable, match="no weight tensors"):
        run_step(WeightNoise(sigma=0.1), bare, context)

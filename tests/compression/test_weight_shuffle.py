"""Weight shuffle: the same values in another order, and nothing else."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.compression.chains import run_step
from bench.compression.weight_shuffle import WeightShuffle
from bench.errors import NotApplicable
from bench.networks.network import TorchNetwork


def test_weights_keep_their_values_and_lose_their_places(network, context):
    made = run_step(WeightShuffle(), network, context)
    before, after = network.module.state_dict(), made.module.state_dict()
    for name in made.record["record"]["shuffled"]:
        assert torch.equal(before[name].flatten().sort().values, after[name].flatten().sort().values)
        assert (before[name] == after[name]).float().mean() < 0.2
    kept = set(before) - set(made.record["record"]["shuffled"])
    assert kept >= {"bn1.weight", "bn1.running_mean", "classifier.bias"}
    assert all(torch.equal(before[name], after[name]) for name in kept)
    again = run_step(WeightShuffle(), network, context).module.state_dict()
    other = run_step(WeightShuffle(), network, replace(context, seed=1)).module.state_dict()
    assert torch.equal(after["classifier.weight"], again["classifier.weight"])
    assert not torch.equal(after["classifier.weight"], other["classifier.weight"])


def test_a_network_without_weights_has_nothing_to_shuffle(network, context):
    with pytest.raises(NotApplicable, match="no weight tensors to shuffle"):
        WeightShuffle().apply(TorchNetwork(nn.Flatten(), network.input), context)

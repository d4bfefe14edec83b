"""Folding as a step: the null control, with its own exactness in the record."""

import torch
from torch import nn

from bench.compression.bn_fold import BnFold
from bench.compression.record import run_step
from bench.graph.network import TorchNetwork
from bench.models.training import accuracy


def test_the_record_says_what_was_folded_and_how_exactly(network, context, digits):
    made = run_step(BnFold(), network, context)
    record = made.record["record"]
    assert record["folded"] == [{"batch_norm": "bn1", "into": "conv1"}, {"batch_norm": "bn2", "into": "conv2"}]
    assert record["kept"] == []
    assert 0 < record["exact_relative"] < 1e-12
    assert 0 < record["cast_largest"] < 1e-4
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in made.module.modules())
    x = torch.from_numpy(digits.evaluation.x)
    with torch.no_grad():
        torch.testing.assert_close(made.module(x), network.module(x), rtol=1e-4, atol=1e-4)
    assert accuracy(made.module, digits.evaluation, digits.input) == accuracy(
        network.module, digits.evaluation, digits.input
    )


def test_what_stays_is_in_the_record(digits, context):
    module = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 10))
    source = {"source": "factory", "factory": "none:none", "input": digits.input.canonical(), "kind": "torch"}
    made = run_step(BnFold(), TorchNetwork(module.eval(), digits.input, source), context)
    assert made.record["record"]["folded"] == [{"batch_norm": "2", "into": "1"}]
    assert made.record["record"]["kept"] == [
        {"batch_norm": "0", "reason": "it follows the input, not a convolution or linear layer"}
    ]

"""The residual network: its size, its strides, and its shortcuts."""

import pydantic
import pytest
import torch
from torch import nn

from bench.models.resnet8 import ResNet8, residual_block
from bench.models.training import initialise
from bench.networks.network import InputSpec

TEN = tuple("0123456789")


def size(shape, **choices):
    module = initialise(ResNet8(**choices), InputSpec(shape=shape, classes=TEN), 0)
    return sum(p.numel() for p in module.parameters())


def test_size():
    assert size((1, 28, 28)) == size((1, 8, 8)) == 77_754
    assert size((3, 32, 32)) == 77_754 + 2 * 9 * 16
    layers = 9 * (1 * 2 + 2 * 2 + 2 * 2 + 2 * 4 + 4 * 4 + 4 * 8 + 8 * 8) + (2 * 4 + 4 * 8)
    norms = 2 * (2 + 2 + 2 + 4 + 4 + 4 + 8 + 8 + 8)
    assert size((1, 8, 8), width=2) == layers + norms + 9 * 10
    with pytest.raises(pydantic.ValidationError):
        ResNet8(width=0)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 7), (2, 1, 1)])
def test_strides(shape):
    module = initialise(ResNet8(width=4), InputSpec(shape=shape, classes=TEN), 0)
    x, sizes = torch.zeros(2, *shape), []
    for name, part in module.named_children():
        x = part(x)
        if name.startswith("block"):
            sizes.append(tuple(x.shape[1:]))
    height, width = shape[1:]
    halves = [(height, width), (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))]
    assert sizes == [(4 * 2**stage, *half) for stage, half in enumerate(halves)]


def test_the_shortcut_carries_the_input_past_the_convolutions():
    same, wider = residual_block(4, 4, 1).eval(), residual_block(4, 8, 2).eval()
    for block in (same, wider):
        nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(same(x), x.relu())
    assert torch.equal(wider(x), wider.shortcut(x).relu())
    assert bool((wider(x) > 0).any())

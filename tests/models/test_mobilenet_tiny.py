"""The depthwise separable network: its size, its layers, its bad parameters."""

from itertools import pairwise

import pydantic
import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.models.mobilenet_tiny import MobileNetTiny
from bench.models.training import initialise
from bench.networks.network import InputSpec

TEN = tuple("0123456789")


def build(shape=(1, 28, 28), **choices):
    return initialise(MobileNetTiny(**choices), InputSpec(shape=shape, classes=TEN), 0)


def test_size():
    module = build()
    widths = [16, 32, 64, 64, 96]
    pairs = list(pairwise(widths))
    separable = sum(9 * wide + 2 * wide + wide * after + 2 * after for wide, after in pairs)
    assert sum(p.numel() for p in module.parameters()) == 9 * 16 + 2 * 16 + separable + 97 * 10 == 16_394


def test_each_depthwise_convolution_sees_one_channel():
    module = build(stem=4, widths=(6, 8), strides=(2, 1))
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            assert part.groups == (part.in_channels if "depthwise" in name else 1)
            assert part.kernel_size == ((1, 1) if "pointwise" in name else (3, 3))
            assert part.bias is None
    assert [part.stride[0] for part in module.modules() if isinstance(part, nn.Conv2d)] == [1, 2, 1, 1, 1]
    assert sum(isinstance(part, nn.ReLU6) for part in module.modules()) == 5


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7), (2, 1, 1)])
def test_any_input(shape):
    assert build(shape, stem=4, widths=(6, 8), strides=(2, 3))(torch.zeros(2, *shape)).shape == (2, 10)


def test_errors():
    with pytest.raises(UserError, match="4 strides for 1 widths; give one stride a width"):
        MobileNetTiny(widths=(4,)).build(InputSpec(shape=(1, 8, 8), classes=TEN))
    for wrong in ({"widths": ()}, {"stem": 0}, {"strides": (0,)}):
        with pytest.raises(pydantic.ValidationError):
            MobileNetTiny(**wrong)

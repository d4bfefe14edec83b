"""LeNet-5: its size, its paddings, and images that are too small."""

import pytest
import torch

from bench.errors import UserError
from bench.models.lenet5 import LeNet5
from bench.models.training import initialise
from bench.networks.network import InputSpec

TEN = tuple("0123456789")


@pytest.mark.parametrize(
    ("shape", "paddings", "features"),
    [
        ((1, 28, 28), [(2, 2), (0, 0)], 400),  # as in the paper
        ((3, 32, 32), [(0, 0), (0, 0)], 400),
        ((1, 8, 8), [(2, 2), (2, 2)], 64),
        ((1, 4, 4), [(2, 2), (2, 2)], 16),
        ((2, 12, 28), [(2, 2), (0, 0)], 16 * 1 * 5),
        ((1, 11, 28), [(2, 2), (2, 2)], 16 * 2 * 7),
    ],
)
def test_paddings(shape, paddings, features):
    module = initialise(LeNet5(), InputSpec(shape=shape, classes=TEN), 0)
    assert [module.conv1.padding, module.conv2.padding] == paddings
    assert module.linear1.in_features == features
    assert module(torch.zeros(2, *shape)).shape == (2, 10)


def test_size():
    module = initialise(LeNet5(), InputSpec(shape=(1, 28, 28), classes=TEN), 0)
    wanted = (25 * 6 + 6) + (25 * 6 * 16 + 16) + 401 * 120 + 121 * 84 + 85 * 10
    assert sum(p.numel() for p in module.parameters()) == wanted == 61_706


def test_too_small():
    with pytest.raises(UserError, match="lenet5 pools 3 x 28 pixels to nothing; give images of at least 4 x 4 pixels"):
        LeNet5().build(InputSpec(shape=(1, 3, 28), classes=TEN))

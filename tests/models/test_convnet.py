"""The convolutional network: its size, its shapes, its bad parameters."""

import pydantic
import pytest
import torch
from torch import fx

from bench.errors import UserError
from bench.models.convnet import Convnet
from bench.models.training import initialise
from bench.networks.network import InputSpec

TEN = tuple("0123456789")


@pytest.mark.parametrize("head", ["pool", "flatten"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 9, 7), (2, 1, 1)])
def test_any_input(shape, head):
    module = initialise(Convnet(head=head), InputSpec(shape=shape, classes=TEN), 0)
    assert module(torch.zeros(3, *shape)).shape == (3, 10)
    assert not module.training
    fx.symbolic_trace(module)


def test_size():
    def parameters(**choices):
        module = initialise(Convnet(**choices), InputSpec(shape=(1, 8, 8), classes=TEN), 0)
        return sum(p.numel() for p in module.parameters())

    assert parameters() == 9 * (16 + 16 * 32 + 32 * 64) + 2 * (16 + 32 + 64) + 65 * 10 == 24_058
    assert parameters(head="flatten") == 24_058 + 3 * 64 * 10
    assert parameters(widths=(4,), strides=(2,)) == 9 * 4 + 2 * 4 + 5 * 10


def test_errors():
    with pytest.raises(UserError, match="1 strides for 3 widths"):
        Convnet(strides=(1,)).build(InputSpec(shape=(1, 8, 8), classes=TEN))
    for wrong in ({"widths": ()}, {"widths": (0,)}, {"head": "mean"}, {"depth": 3}):
        with pytest.raises(pydantic.ValidationError):
            Convnet(**wrong)

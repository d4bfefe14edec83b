"""The multilayer perceptron: its size and shapes."""

import pytest
import torch
from torch import fx, nn

from bench.models.mlp import Mlp
from bench.models.training import initialise
from bench.networks.network import InputSpec

DECLARED = InputSpec(shape=(2, 3, 3), classes=("a", "b", "c"))


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("hidden", [(), (5,), (7, 5)])
def test_shapes(hidden, batch_norm):
    module = initialise(Mlp(hidden=hidden, batch_norm=batch_norm), DECLARED, 0)
    assert module(torch.zeros(4, 2, 3, 3)).shape == (4, 3)
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == [*hidden, 3]
    assert sum(isinstance(layer, nn.BatchNorm1d) for layer in module.modules()) == len(hidden) * batch_norm
    fx.symbolic_trace(module)


def test_size():
    module = initialise(Mlp(hidden=(5,), batch_norm=True), DECLARED, 0)
    assert sum(p.numel() for p in module.parameters()) == 18 * 5 + 2 * 5 + 6 * 3

"""Each weight map against the layers that it replaces, in float64."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.batch_norm_folding.formulas import Diagonal, Linear, after, batch_norm, before, inverse

SHAPES = {  # weight, groups, transposed, input channels
    "dense": ((5, 4), 1, False, 4),
    "convolution": ((6, 4, 3, 3), 1, False, 4),
    "grouped": ((6, 2, 3, 3), 2, False, 4),
    "depthwise": ((8, 1, 3, 3), 4, False, 4),
    "transposed": ((4, 6, 3, 3), 1, True, 4),
    "transposed, grouped": ((4, 3, 3, 3), 2, True, 4),
}


def run(layer, x):
    weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
    if layer.weight.ndim == 2:
        return functional.linear(x, weight, bias)
    function = functional.conv_transpose2d if layer.transposed else functional.conv2d
    return function(x, weight, bias, groups=layer.groups)


def mapped(x, scale, shift):
    tail = [1] * (x.ndim - 2)
    return x * torch.from_numpy(scale).view(-1, *tail) + torch.from_numpy(shift).view(-1, *tail)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def case(request):
    shape, groups, transposed, inputs = request.param
    own = np.random.default_rng(0)
    outputs = shape[1] * groups if transposed else shape[0]
    layer = Linear(own.normal(size=shape), own.normal(size=outputs), groups, transposed)
    x = torch.from_numpy(own.normal(size=(3, inputs, 6, 6) if len(shape) > 2 else (3, inputs)))
    return layer, x, own


def close(found, wanted):
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-13


def test_after(case):
    layer, x, own = case
    scale, shift = own.normal(size=len(layer.bias)), own.normal(size=len(layer.bias))
    close(run(after(layer, scale, shift), x), mapped(run(layer, x), scale, shift))


def test_before_and_the_leaf_that_undoes(case):
    layer, x, own = case
    scale = own.normal(size=layer.inputs)
    shift = np.zeros(layer.inputs) if layer.transposed else own.normal(size=layer.inputs)
    close(run(before(layer, scale, shift), x), run(layer, mapped(x, scale, shift)))
    close(run(before(layer, *inverse(scale, shift)), mapped(x, scale, shift)), run(layer, x))


def test_undoing_divides_the_shift_too():
    """``b - sum W t / s``; without the division the answer would be 7 - 5 * 6 = -23."""
    undone = before(Linear(np.array([[5.0]]), np.array([7.0])), *inverse(np.array([2.0]), np.array([6.0])))
    assert (undone.weight.item(), undone.bias.item()) == (2.5, -8.0)


def test_a_transposed_convolution_takes_no_shift_from_before():
    layer = Linear(np.ones((2, 2, 3, 3)), np.zeros(2), transposed=True)
    with pytest.raises(ValueError, match="cannot take a shift"):
        before(layer, np.ones(2), np.ones(2))


def test_batch_norm_is_torchs_own():
    norm = nn.BatchNorm1d(3, eps=0.1).double().eval()
    with torch.no_grad():
        for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            value.copy_(torch.rand(3, generator=torch.Generator().manual_seed(3)))
        arrays = [v.detach().numpy() for v in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
        x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
        made = batch_norm(*arrays, epsilon=norm.eps)
        close(mapped(x, made.scale, made.shift), norm(x))


def test_diagonal_maps_compose():
    layer = Diagonal(np.array([2.0]), np.array([3.0]))
    assert after(layer, np.array([5.0]), np.array([1.0])) == Diagonal(np.array([10.0]), np.array([16.0]))
    assert before(layer, np.array([5.0]), np.array([1.0])) == Diagonal(np.array([10.0]), np.array([5.0]))

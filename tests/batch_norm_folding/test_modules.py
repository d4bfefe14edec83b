"""Folding is exact, and what cannot be folded is said."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.batch_norm_folding.modules import FoldedBatchNorm, fold_batch_norms, replace_batch_norm
from bench.models.base import models
from bench.models.training import initialise
from bench.networks.network import InputSpec


def unsettle(module, seed=0):
    """Give every BatchNorm statistics and weights far from their defaults."""
    own = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.copy_(torch.randn(layer.num_features, generator=own))
            layer.running_var.copy_(torch.rand(layer.num_features, generator=own) * 3 + 0.1)
            if layer.affine:
                layer.weight.data.copy_(torch.randn(layer.num_features, generator=own))
                layer.bias.data.copy_(torch.randn(layer.num_features, generator=own))
    return module.eval()


def build(*layers):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return unsettle(nn.Sequential(*[layer() for layer in layers]))


FOLDABLE = {
    "plain": [lambda: nn.Conv2d(3, 4, 3, padding=1, bias=False), lambda: nn.BatchNorm2d(4)],
    "bias": [lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm2d(4), nn.ReLU],
    "strided": [lambda: nn.Conv2d(3, 4, 3, stride=2, padding=2, dilation=2), lambda: nn.BatchNorm2d(4, eps=0.1)],
    "grouped": [lambda: nn.Conv2d(3, 6, 3, groups=3), lambda: nn.BatchNorm2d(6)],
    "not affine": [lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm2d(4, affine=False)],
    "padding by reflection": [lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), lambda: nn.BatchNorm2d(4)],
    "linear": [nn.Flatten, lambda: nn.Linear(3 * 64, 5), lambda: nn.BatchNorm1d(5), nn.ReLU],
    "two": [
        lambda: nn.Conv2d(3, 4, 3),
        lambda: nn.BatchNorm2d(4),
        nn.ReLU,
        lambda: nn.Conv2d(4, 5, 3),
        lambda: nn.BatchNorm2d(5),
    ],
}


@pytest.mark.parametrize("layers", FOLDABLE.values(), ids=FOLDABLE)
def test_the_function_is_the_same_in_float64(layers):
    module = build(*layers).double()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = torch.randn(5, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    folding = fold_batch_norms(module, (3, 8, 8))
    with torch.no_grad():
        wanted, found = module(x), folding.module(x)
    assert float((wanted - found).abs().max() / wanted.abs().max()) < 1e-12
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in folding.module.modules())
    assert folding.kept == ()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_closed_form():
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.25)).eval()
    module.load_state_dict(
        {
            "0.weight": torch.tensor([[[[3.0]]]]),
            "0.bias": torch.tensor([5.0]),
            "1.weight": torch.tensor([2.0]),
            "1.bias": torch.tensor([7.0]),
            "1.running_mean": torch.tensor([4.0]),
            "1.running_var": torch.tensor([0.75]),
            "1.num_batches_tracked": torch.tensor(1),
        }
    )
    folding = fold_batch_norms(module, (1, 2, 2))  # s = 2 / sqrt(1) = 2, t = 7 - 4 * 2 = -1
    assert folding.module[0].weight.item() == 6.0
    assert folding.module[0].bias.item() == 2 * 5 - 1
    assert folding.folded == (FoldedBatchNorm("1", ("0",)),)


def test_it_folds_in_float64_and_casts_once():
    module = build(lambda: nn.Conv2d(3, 4, 3, bias=False), lambda: nn.BatchNorm2d(4))
    folding = fold_batch_norms(module, (3, 8, 8))
    layer, norm = module[0], module[1]
    for channel in range(4):
        scale = norm.weight[channel].item() / math.sqrt(norm.running_var[channel].item() + norm.eps)
        wanted = (layer.weight[channel].double() * scale).float()
        assert torch.equal(folding.module[0].weight[channel], wanted)


def test_structure_is_rebuilt_without_weights():
    module = build(*FOLDABLE["two"])
    folding = fold_batch_norms(module, (3, 8, 8))
    fresh = copy.deepcopy(module)
    for pair in folding.folded:
        replace_batch_norm(fresh, pair)
    fresh.load_state_dict(folding.module.state_dict(), strict=True)
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(fresh(x), folding.module(x))


class Parts(nn.Module):
    """One convolution and BatchNorm, wired by the test."""

    def __init__(self, wire):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(3)
        self.wire = wire

    def forward(self, x):
        return self.wire(self, x)


WIRINGS = {
    "after relu": (lambda m, x: m.bn(torch.relu(m.conv(x))), "backward: relu makes", "forward: the network's output"),
    "output used twice": (lambda m, x: m.bn(m.conv(x)) + m.conv(x), "used more than once", "used more than once"),
    "convolution kept": (lambda m, x: (lambda y: (m.bn(y) + y).relu())(m.conv(x)), "relu reads what would change", ""),
    "batch norm twice": (lambda m, x: m.bn(m.conv(m.bn(x))), "it is used more than once", ""),
    "weight read": (lambda m, x: m.bn(m.conv(x)) * m.conv.weight.sum(), "conv (Conv2d), which is used more", ""),
    "added to a number": (lambda m, x: m.bn(m.conv(x) + 1), "backward: add makes", ""),
    "broadcast": (lambda m, x: m.bn(m.conv(x) + x[:, :, :1]), "backward: add makes", ""),
    "changed in place": (lambda m, x: (lambda y: m.bn(y.add_(x)) * y)(m.conv(x)), "backward: add_ makes", ""),
    "functional": (lambda m, x: m.bn(functional.conv2d(x, torch.ones(3, 3, 1, 1))), "backward: conv2d makes", ""),
    "pads with ones": (lambda m, x: m.bn(functional.pad(m.conv(x), (1, 1), value=1.0)), "backward: pad makes", ""),
    "along positions": (lambda m, x: m.bn(torch.cat([m.conv(x), x], dim=2)), "backward: cat makes", ""),
    "mean of channels": (lambda m, x: m.bn(m.conv(x) - m.conv(x).mean(1, keepdim=True)), "sub makes", ""),
    "active dropout": (lambda m, x: m.bn(functional.dropout(m.conv(x), 0.0)), "backward: dropout makes", ""),
    "not called": (lambda m, x: m.conv(x), "does not call it", ""),
    "untraceable": (lambda m, x: m.bn(m.conv(x)) if x.sum() > -1 else x, "cannot trace", ""),
}


@pytest.mark.parametrize(("wire", "reason", "further"), WIRINGS.values(), ids=WIRINGS)
def test_what_cannot_be_folded_stays_and_is_reported(wire, reason, further):
    module = unsettle(Parts(wire))
    folding = fold_batch_norms(module, (3, 4, 4))
    assert folding.folded == ()
    assert [kept.batch_norm for kept in folding.kept] == ["bn"]
    assert reason in folding.kept[0].reason
    assert further in folding.kept[0].reason
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(module(x), folding.module(x))


class Forward(nn.Module):
    """A BatchNorm of the input, then what the test says."""

    def __init__(self, wire):
        super().__init__()
        self.bn = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 4, 3)
        self.linear = nn.Linear(4, 5)
        self.wide = nn.Linear(144, 5)
        self.wire = wire

    def forward(self, x):
        return self.wire(self, self.bn(x))


def plus(y, other):
    y += other
    return y


READERS = {
    "convolution": (lambda m, y: m.conv(y), ("conv",)),
    "two readers": (lambda m, y: m.conv(y).mean((2, 3)) + m.linear(y.mean([-1, -2])).sum(), ("conv", "linear")),
    "pool": (lambda m, y: m.linear(functional.adaptive_avg_pool2d(y, 1).flatten(1)), ("linear",)),
    "average": (lambda m, y: m.conv(functional.avg_pool2d(y, 2)), ("conv",)),
    "mirrored": (lambda m, y: m.conv(functional.pad(y, (1, 1, 1, 1), mode="reflect")), ("conv",)),
    "flattened": (lambda m, y: m.wide(torch.flatten(y, 1)), ("wide",)),
    "viewed": (lambda m, y: m.wide(y.view(y.size(0), -1)), ("wide",)),
    "reshaped": (lambda m, y: m.wide(y.reshape(y.shape[0], 144)), ("wide",)),
    "squeezed": (lambda m, y: m.linear(y.mean(3, keepdim=True).mean(2, True).squeeze(3).squeeze(2)), ("linear",)),
    "idle dropout": (lambda m, y: m.linear(functional.dropout(y, 0.5, False).mean((2, 3))), ("linear",)),
    "doubled": (lambda m, y: m.conv(y + y), ("conv",)),
    "in place": (lambda m, y: m.conv(plus(y.clone(), y)), ("conv",)),
}


@pytest.mark.parametrize(("wire", "into"), READERS.values(), ids=READERS)
def test_forward_through_what_torch_calls_it(wire, into):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = unsettle(Forward(wire)).double()
    folding = fold_batch_norms(module, (4, 6, 6))
    assert folding.folded == (FoldedBatchNorm("bn", into, "forward"),)
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, found = module(x), folding.module(x)
    assert float((wanted - found).abs().max() / wanted.abs().max()) < 1e-12


class SamePadding(nn.Conv2d):
    """Pads by itself, unevenly."""

    def forward(self, x):
        return super().forward(functional.pad(x, (0, 1, 0, 1)))


class Standardised(nn.Conv2d):
    """Uses its weight as a direction only."""

    def forward(self, x):
        weight = self.weight / self.weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return functional.conv2d(x, weight, self.bias)


def test_subclasses_are_layers_if_they_compute_as_such():
    padded = build(lambda: SamePadding(3, 4, 2, stride=2, groups=1, bias=False), lambda: nn.BatchNorm2d(4)).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    folding = fold_batch_norms(padded, (3, 8, 8))
    assert folding.folded == (FoldedBatchNorm("1", ("0",)),)
    with torch.no_grad():
        torch.testing.assert_close(folding.module(x), padded(x), rtol=1e-12, atol=1e-12)

    behind = build(lambda: nn.BatchNorm2d(3), lambda: SamePadding(3, 4, 2)).double()
    assert "its shift would change the zeros that pad 1 (SamePadding)" in (
        fold_batch_norms(behind, (3, 8, 8)).kept[0].reason
    )
    behind[0].bias.data.copy_(behind[0].running_mean * behind[0].weight / (behind[0].running_var + 1e-5).sqrt())
    folding = fold_batch_norms(behind, (3, 8, 8))  # its shift is zero now, so zeros stay zeros
    assert folding.folded == (FoldedBatchNorm("0", ("1",), "forward"),)
    with torch.no_grad():
        torch.testing.assert_close(folding.module(x), behind(x), rtol=1e-12, atol=1e-12)

    direction = build(lambda: Standardised(3, 4, 1), lambda: nn.BatchNorm2d(4))
    assert "computes more than its weight and bias say" in fold_batch_norms(direction, (3, 8, 8)).kept[0].reason


def test_further_layers():
    transposed = build(lambda: nn.ConvTranspose2d(3, 4, 3, groups=1, bias=False), lambda: nn.BatchNorm2d(4)).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    folding = fold_batch_norms(transposed, (3, 8, 8))
    assert folding.folded == (FoldedBatchNorm("1", ("0",)),)
    with torch.no_grad():
        torch.testing.assert_close(folding.module(x), transposed(x), rtol=1e-12, atol=1e-12)

    twice = build(lambda: nn.BatchNorm2d(3), lambda: nn.BatchNorm2d(3, affine=False), lambda: nn.Conv2d(3, 2, 1))
    folding = fold_batch_norms(twice.double(), (3, 8, 8))
    assert [fold.into for fold in folding.folded] == [("1",), ("2",)] or [f.into for f in folding.folded] == [
        ("2",),
        ("0",),
    ]
    with torch.no_grad():
        torch.testing.assert_close(folding.module(x), twice(x), rtol=1e-12, atol=1e-12)


def test_a_scale_of_zero_is_folded_and_not_undone():
    plain = build(lambda: nn.Conv2d(3, 4, 1), lambda: nn.BatchNorm2d(4))
    plain[1].weight.data[2] = 0
    assert fold_batch_norms(plain, (3, 4, 4)).folded == (FoldedBatchNorm("1", ("0",)),)

    module = unsettle(Parts(lambda m, x: (lambda y: torch.relu(m.bn(y)) + m.second(y))(m.conv(x))))
    module.second = nn.Conv2d(3, 3, 1)
    assert fold_batch_norms(module, (3, 4, 4)).folded == (FoldedBatchNorm("bn", ("conv",), "backward", ("second",)),)
    module.bn.weight.data[0] = 0
    assert "one of its scales is zero, which second (Conv2d) could not undo" in (
        fold_batch_norms(module, (3, 4, 4)).kept[0].reason
    )


def test_further_reasons():
    def reason(*layers, index=0):
        return fold_batch_norms(nn.Sequential(*layers).eval(), (3, 4, 4)).kept[index].reason

    assert "no running statistics" in reason(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))
    assert "more than one position" in reason(nn.Flatten(2), nn.Linear(16, 3), nn.BatchNorm1d(3))
    assert "MaxPool2d) makes what would" in reason(nn.Conv2d(3, 3, 1), nn.MaxPool2d(2), nn.BatchNorm2d(3))
    pool = nn.AvgPool2d(3, padding=1)
    assert "zeros that pad 1 (AvgPool2d)" in reason(nn.Conv2d(3, 3, 1), pool, unsettle(nn.BatchNorm2d(3)))

    hooked = nn.Conv2d(3, 3, 1)
    hooked.register_forward_hook(lambda layer, x, y: y * 2)
    assert "hooks" in reason(hooked, nn.BatchNorm2d(3))

    tied = [nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)]
    tied[2].weight = tied[0].weight
    assert "used more than once" in reason(*tied, index=1)

    shared = nn.BatchNorm2d(3)
    assert reason(nn.Conv2d(3, 3, 1), shared, nn.ReLU(), nn.Conv2d(3, 3, 1), shared) == "it is used more than once"


MODELS = ["convnet", "mlp", "lenet5", "resnet8", "mobilenet-tiny", "vit-tiny"]


@pytest.mark.parametrize("name", MODELS)
def test_every_batch_norm_of_the_models_that_come_along_folds(name):
    declared = InputSpec(shape=(1, 28, 28), classes=tuple("abcdefghij"))
    module = unsettle(initialise(models.get(name)(), declared, 0)).double()
    count = sum(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules())
    folding = fold_batch_norms(module, (1, 28, 28))
    assert (len(folding.folded), folding.kept) == (count, ())
    x = torch.rand(2, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted, found = module(x), folding.module(x)
    assert float((wanted - found).abs().max() / wanted.abs().max()) < 1e-12

"""Folding is exact, and what cannot be folded is said."""

import copy
import math

import pytest
import torch
from torch import nn

from bench.graph.bn_fold import Folded, find_chains, fold_batch_norms, replace_batch_norm


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
    assert folding.folded == (Folded("1", "0"),)


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
    "of the input": (lambda m, x: m.conv(m.bn(x)), "follows the input"),
    "after relu": (lambda m, x: m.bn(torch.relu(m.conv(x))), "follows relu"),
    "output used twice": (lambda m, x: m.bn(m.conv(x)) + m.conv(x), "used more than once"),
    "convolution kept": (lambda m, x: (lambda y: m.bn(y) + y)(m.conv(x)), "also used elsewhere"),
    "batch norm twice": (lambda m, x: m.bn(m.conv(m.bn(x))), "follows the input"),
    "weight read": (lambda m, x: m.bn(m.conv(x)) * m.conv.weight.sum(), "used more than once"),
    "not called": (lambda m, x: m.conv(x), "does not call it"),
    "untraceable": (lambda m, x: m.bn(m.conv(x)) if x.sum() > -1 else x, "cannot trace"),
}


@pytest.mark.parametrize(("wire", "reason"), WIRINGS.values(), ids=WIRINGS)
def test_what_cannot_be_folded_stays_and_is_reported(wire, reason):
    module = unsettle(Parts(wire))
    folding = fold_batch_norms(module, (3, 4, 4))
    assert folding.folded == ()
    assert [kept.batch_norm for kept in folding.kept] == ["bn"]
    assert reason in folding.kept[0].reason
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(module(x), folding.module(x))


def test_further_reasons():
    no_statistics = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)).eval()
    assert "no running statistics" in find_chains(no_statistics, (3, 4, 4))[1][0].reason

    positions = nn.Sequential(nn.Flatten(2), nn.Linear(16, 3), nn.BatchNorm1d(3)).eval()
    assert "more than one position" in find_chains(positions, (3, 4, 4))[1][0].reason

    transposed = nn.Sequential(nn.ConvTranspose2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    assert "follows ConvTranspose2d" in find_chains(transposed, (3, 4, 4))[1][0].reason

    hooked = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    hooked[0].register_forward_hook(lambda layer, x, y: y * 2)
    assert "hooks" in find_chains(hooked, (3, 4, 4))[1][0].reason

    tied = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    tied[2].weight = tied[0].weight
    assert [kept.batch_norm for kept in find_chains(tied, (3, 4, 4))[1]] == ["1", "3"]

    shared = nn.Conv2d(3, 3, 1)
    same = nn.Sequential(shared, nn.BatchNorm2d(3), shared, nn.BatchNorm2d(3)).eval()
    assert len(find_chains(same, (3, 4, 4))[1]) == 2
    again = nn.Sequential(nn.Conv2d(3, 3, 1), same[1], nn.ReLU(), nn.Conv2d(3, 3, 1), same[1]).eval()
    assert find_chains(again, (3, 4, 4))[0] == ()

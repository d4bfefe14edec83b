import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.compression.quantisation.equalisation import LayerPair, equalise, find_pairs
from bench.compression.quantisation.options import Scheme


class Mixed(nn.Module):
    """Convolution, depthwise and pointwise layers, a sum, pooling and flattening."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.depthwise, self.point = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 4, 1, bias=False)
        self.left, self.right = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 3, 3)
        self.fc, self.head = nn.Linear(12, 5), nn.Linear(5, 3)
        self.clipped = nn.ReLU6()

    def forward(self, x):
        x = functional.relu(self.depthwise(functional.leaky_relu(self.stem(x), 0.1)))
        x = self.point(x).relu()
        x = x + self.left(x)
        x = functional.max_pool2d(functional.relu(self.right(x)), 3)
        return self.head(self.clipped(self.fc(torch.flatten(x, 1))))


@pytest.fixture
def mixed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Mixed().eval()
    with torch.no_grad():  # channels of very unlike ranges
        for layer in (module.stem, module.depthwise, module.right):
            layer.weight.mul_(torch.logspace(-2, 2, len(layer.weight)).view(-1, 1, 1, 1))
    return module


def images(n=64):
    return torch.rand(n, 2, 8, 8, generator=torch.Generator().manual_seed(1))


def spread(layer):
    tops = layer.weight.detach().flatten(1).abs().amax(dim=1)
    return float(tops.max() / tops.min())


def test_pairs_of_a_graph_with_branches(mixed):
    """Not across the sum (two readers), not across ReLU6 (it does not scale)."""
    assert find_pairs(mixed) == (
        LayerPair("stem", "depthwise"),
        LayerPair("depthwise", "point"),
        LayerPair("right", "fc"),
    )


def test_same_function_and_like_ranges(mixed):
    before = {name: value.clone() for name, value in mixed.state_dict().items()}
    made = equalise(mixed)
    with torch.no_grad():
        expected, found = mixed(images()), made.module(images())
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert spread(made.module.right) < 0.2 * spread(mixed.right)
    assert made.largest_factor > 10
    assert all(torch.equal(value, before[name]) for name, value in mixed.state_dict().items())
    rows = made.module.right.weight.detach().flatten(1).abs().amax(dim=1)
    columns = made.module.fc.weight.detach().view(5, 3, 4).abs().amax(dim=(0, 2))
    torch.testing.assert_close(rows, columns, rtol=1e-2, atol=0)


def test_helps_one_scale_a_tensor(mixed):
    from bench.compression.quantisation.graph import quantised_graph

    errors = []
    for module in (mixed, equalise(mixed).module):
        made, _ = quantised_graph(module, Scheme(6, None, per_channel=False))
        with torch.no_grad():
            errors.append(float((made(images()) - mixed(images())).square().mean()))
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("layer", ["stem", "point"])
def test_channels_without_weights_stay(mixed, layer):
    with torch.no_grad():
        getattr(mixed, layer).weight[:, :1] = 0
        getattr(mixed, layer).weight[1] = 0
        made = equalise(mixed).module
        assert all(value.isfinite().all() for value in made.state_dict().values())
        torch.testing.assert_close(made(images()), mixed(images()), rtol=1e-4, atol=1e-5)


def test_shared_and_untraceable_layers_are_left_alone():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = self.two = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.two(torch.relu(self.one(x))))

    class Untraceable(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))

        def forward(self, x):
            return self.net(x) if x.sum() > 0 else self.net(-x)

    for module in (Shared(), Untraceable()):
        made = equalise(module)
        assert made.pairs == ()
        assert made.largest_factor == 1.0
        assert all(torch.equal(a, b) for a, b in zip(made.module.parameters(), module.parameters(), strict=True))

"""Networks for tests of bounds on regions: small, of every kind of node, with random weights."""

import itertools

import numpy as np
import torch
from torch import nn

from bench.canonical_form.trace import canonical_form
from bench.functional.lipschitz.regions import Ball


class Skip(nn.Module):
    """``x + branch(x)``, or both one after the other."""

    def __init__(self, branch, whole=False):
        super().__init__()
        self.branch, self.whole = branch, whole

    def forward(self, x):
        return torch.cat([x, self.branch(x)], 1) if self.whole else x + self.branch(x)


ACTIVATIONS = {
    "relu": nn.ReLU, "leaky": lambda: nn.LeakyReLU(0.2), "falling": lambda: nn.LeakyReLU(-0.3),
    "steep": lambda: nn.LeakyReLU(1.7), "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU("tanh"), "silu": nn.SiLU, "mish": nn.Mish, "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid, "softplus": nn.Softplus, "steep_softplus": lambda: nn.Softplus(3.0),
    "elu": nn.ELU, "low_elu": lambda: nn.ELU(0.4), "high_elu": lambda: nn.ELU(2.0), "selu": nn.SELU,
    "relu6": nn.ReLU6, "hardtanh": lambda: nn.Hardtanh(-0.3, 0.4),
}  # fmt: skip
SHAPE = (2, 6, 6)


def dense(seed, widths=(4, 7, 6, 3), activation="relu"):
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    module = nn.Sequential(*[item for layer in layers for item in (layer, ACTIVATIONS[activation]())][:-1])
    return form(module, (widths[0],))


def convolutional(seed, kind):
    torch.manual_seed(seed)
    first = nn.Conv2d(2, 3, 3, padding=1)
    branch = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1, groups=3))
    middle = {
        "plain": nn.Sequential(nn.ReLU(), nn.Conv2d(3, 3, 3, stride=2), nn.GELU()),
        "skip": nn.Sequential(nn.ReLU(), Skip(branch), nn.ReLU(), nn.AvgPool2d(2)),
        "concatenated": nn.Sequential(nn.SiLU(), Skip(branch, whole=True), nn.Hardswish()),
        "pooled": nn.Sequential(nn.MaxPool2d(3, 2, 1), Skip(branch), nn.LeakyReLU(0.1), nn.MaxPool2d(2, 1)),
        "transposed": nn.Sequential(nn.Tanh(), nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1), nn.ReLU()),
    }[kind]
    size = middle(first(torch.zeros(1, *SHAPE))).numel()
    return form(nn.Sequential(first, middle, nn.Flatten(), nn.Linear(size, 4)), SHAPE)


CONVOLUTIONAL = ("plain", "skip", "concatenated", "pooled", "transposed")


def form(module, shape):
    x = torch.rand(4, *shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return canonical_form(module.eval(), x)


def sample_of(graph, seed):
    return np.random.default_rng(seed).normal(size=graph.nodes[0].size) / 2


def values_of(graph, x):
    """The value of every node, flat: x (m, size of the input) to a list of (m, size)."""
    with torch.no_grad():
        values = [x.reshape(len(x), *graph.nodes[0].shape)]
        for node in graph.nodes[1:]:
            values.append(node(*(values[k] for k in node.inputs)))
    return [value.reshape(len(x), -1) for value in values]


def points(region, count, random):
    """Points of a region, corners and edges among them: (count, size)."""
    if isinstance(region, Ball):
        away = random.normal(size=(count, region.centre.size))
        away /= ((away**2).sum(axis=1, keepdims=True)) ** 0.5
        share = random.random((count, 1)) ** (1 / region.centre.size)
        share[: count // 2] = 1 - 1e-12
        return torch.from_numpy(region.centre + region.radius * share * away)
    share = random.random((count, region.low.size))
    share[: count // 2] = share[: count // 2].round()
    return torch.from_numpy(region.low + share * (region.high - region.low))

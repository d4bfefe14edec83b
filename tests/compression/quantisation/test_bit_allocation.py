import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.compression.quantisation.bit_allocation import CHOICES, allocate, sensitivities
from bench.compression.quantisation.options import Scheme
from bench.networks.network import InputSpec

LOGITS = InputSpec((1, 4, 4), ("a", "b", "c"))
LAYERS = ("a", "b", "c", "d")


@st.composite
def problems(draw):
    counts = {name: draw(st.integers(1, 500)) for name in LAYERS}
    steps = {name: sorted(draw(st.tuples(*[st.floats(0, 1)] * 3))) for name in LAYERS}
    divergence = {name: dict(zip(CHOICES, steps[name], strict=True)) for name in LAYERS}
    return counts, divergence, draw(st.floats(2, 8)) * sum(counts.values())


def cost(bits, divergence):
    return sum(divergence[name][bits[name]] for name in bits)


@settings(max_examples=200, deadline=None)
@given(problems())
def test_keeps_to_the_budget_and_leaves_nothing_to_give_back(problem):
    counts, divergence, budget = problem
    found = allocate(counts, divergence, budget)
    total = found.total(counts)
    assert total <= budget
    for name, bits in found.bits.items():
        if bits < 8:
            more = {**found.bits, name: 2 * bits}
            fits = sum(counts[n] * b for n, b in more.items()) <= budget
            assert not fits or cost(more, divergence) >= cost(found.bits, divergence)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_is_never_worse_than_the_same_bits_for_all(problem):
    counts, divergence, _ = problem
    total = sum(counts.values())
    for bits in CHOICES:
        found = allocate(counts, divergence, bits * total)
        uniform = dict.fromkeys(counts, bits)
        if bits == 8:
            assert found.bits == uniform
        best = min(
            cost(dict(zip(LAYERS, each, strict=True)), divergence)
            for each in itertools.product(CHOICES, repeat=4)
            if sum(counts[n] * b for n, b in zip(LAYERS, each, strict=True)) <= bits * total
        )
        assert best <= cost(found.bits, divergence) + 1e-12


def test_sensitive_layers_keep_their_bits():
    counts = {"a": 100, "b": 100}
    divergence = {"a": {8: 0.0, 4: 1.0, 2: 9.0}, "b": {8: 0.0, 4: 0.1, 2: 0.2}}
    assert allocate(counts, divergence, 1000).bits == {"a": 8, "b": 2}
    assert allocate(counts, divergence, 1600).bits == {"a": 8, "b": 8}
    assert allocate(counts, divergence, 399) is None


def test_a_small_step_that_ends_it_goes_before_a_large_cheap_one():
    counts = {"small": 1, "large": 1000}
    divergence = {"small": {8: 0.0, 4: 0.001, 2: 5.0}, "large": {8: 0.0, 4: 0.0001, 2: 0.1}}
    assert allocate(counts, divergence, 4 * 1001).bits == {"small": 4, "large": 4}


@pytest.fixture
def two_layers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)).eval()
    return module, torch.rand(300, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def test_sensitivity_is_the_divergence_of_one_rounded_layer(two_layers):
    module, x = two_layers
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = sensitivities(module, x, Scheme(8, 8, per_channel=True), LOGITS)
    assert list(found) == ["1", "3"]
    for row in found.values():
        assert 0 <= row[8] < row[4] < row[2]
    with torch.no_grad():
        expected = module(x).double().log_softmax(1)
        weight = module[3].weight
        scale = weight.abs().amax(dim=1, keepdim=True) / 7
        module[3].weight = nn.Parameter((weight / scale).round() * scale)
        other = module(x).double().log_softmax(1)
        module[3].weight = nn.Parameter(before["3.weight"])
    by_hand = float((expected.exp() * (expected - other)).sum(1).mean())
    assert found["3"][4] == pytest.approx(by_hand, rel=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_probabilities_are_not_read_as_logits(two_layers):
    """The same network with its softmax inside has the same sensitivities."""
    module, x = two_layers
    declared = replace(LOGITS, output="probabilities")
    found = sensitivities(nn.Sequential(*module, nn.Softmax(dim=1)), x, Scheme(8, 8, per_channel=True), declared)
    wanted = sensitivities(module, x, Scheme(8, 8, per_channel=True), LOGITS)
    for name, row in wanted.items():
        assert found[name] == pytest.approx(row, rel=1e-4)


def test_a_layer_of_zeros_loses_nothing(two_layers):
    module, x = two_layers
    nn.init.zeros_(module[1].weight)
    assert set(sensitivities(module, x, Scheme(8, 8, per_channel=True), LOGITS)["1"].values()) == {0.0}

"""Bounds of chains on boxes: never below what happens there, and exact where no neuron bends."""

from __future__ import annotations

import numpy as np
import pytest

from bench.functional.lipschitz.chain_bounds.chain_values import jacobian
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.enumeration import constant
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.chain_bounds.local import local_chain, on_box
from bench.functional.lipschitz.chain_bounds.lower import secant
from bench.functional.lipschitz.regions import Box
from tests.functional.lipschitz.chains import random_chain, sloped

KINDS = {
    "leaky": sloped(0.2, 1.0), "negative": sloped(-0.3, 1.2), "gelu": sloped(-0.1290, 1.1290, "gelu"),
    "tanh": sloped(0.0, 1.0, "tanh"),
}  # fmt: skip


def box_around(random, n, radius):
    centre = random.normal(size=n)
    return Box(centre - radius, centre + radius)


@pytest.mark.parametrize("seed", range(12))
def test_of_relu_chains_it_holds_the_constant_of_the_box(seed) -> None:
    random = np.random.default_rng(seed)
    chain, radius = random_chain(random, [3, 5, 4, 2]), (0.05, 0.4, 3.0)[seed % 3]
    box = box_around(random, 3, radius)
    exact = constant(chain, box=box).value
    everywhere = full_diagonal(chain)
    for method in (eclipse_fast, full_diagonal):
        found = on_box(chain, box, method)
        assert exact <= found.value
        assert found.domain == "box"
    assert on_box(chain, box, full_diagonal, everywhere).value <= everywhere.value


@pytest.mark.parametrize("seed", range(6))
def test_where_no_neuron_bends_it_is_the_norm_of_the_jacobian(seed) -> None:
    random = np.random.default_rng(seed)
    chain = random_chain(random, [4, 7, 6, 3])
    centre = random.normal(size=4)
    radius = 1e-6
    local = local_chain(chain, Box(centre - radius, centre + radius))
    assert all((a.alpha == a.beta).all() for a in local.activations)
    exact = np.linalg.norm(jacobian(chain, centre[None])[0], 2)
    for method in (eclipse_fast, full_diagonal):
        assert method(local).value == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_of_other_activations_no_secant_in_the_box_exceeds_it(kind, seed) -> None:
    random = np.random.default_rng(seed)
    chain = random_chain(random, [3, 5, 4, 2], KINDS[kind])
    box = box_around(random, 3, 0.3)
    found = on_box(chain, box, eclipse_fast)
    assert secant(chain, box=box, starts=8, iterations=20, seed=seed).value <= found.value
    assert found.value <= eclipse_fast(chain).value * (1 + 1e-9)


def test_intervals_hold_every_point_of_the_box() -> None:
    """What is before each neuron, of 2,000 points, lies on the side that its slope says."""
    random = np.random.default_rng(3)
    chain = random_chain(random, [3, 8, 8, 2])
    box = box_around(random, 3, 0.5)
    local = local_chain(chain, box)
    hidden = random.uniform(box.low, box.high, size=(2000, 3))
    for weight, bias, activation in zip(chain.weights, chain.biases, local.activations, strict=False):
        z = hidden @ weight.T + bias
        assert not (z[:, activation.alpha == 1] < 0).any()
        assert not (z[:, activation.beta == 0] > 0).any()
        hidden = np.maximum(z, 0)
    assert any((a.alpha == a.beta).any() for a in local.activations)
    with pytest.raises(ValueError, match="for 3 inputs"):
        local_chain(chain, Box(np.zeros(2), np.ones(2)))

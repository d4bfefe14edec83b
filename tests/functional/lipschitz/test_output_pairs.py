"""Constants of pairs of outputs: never below those of the pair by itself, and what they gain."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.canonical_form.trace import canonical_form
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal, full_diagonal_scales
from bench.functional.lipschitz.chain_bounds.output_pairs import output_pairs
from bench.functional.lipschitz.chain_bounds.recursion import certified_value
from bench.functional.lipschitz.graph_bounds.margins import pair_constants
from tests.functional.lipschitz.chains import largest_over_slopes, mixed, random_chain


def of_pair(chain, i, j):
    """The chain whose one output is the difference of two."""
    last, shift = chain.weights[-1], chain.biases[-1]
    return replace(
        chain,
        weights=(*chain.weights[:-1], (last[i] - last[j])[None]),
        biases=(*chain.biases[:-1], (shift[i] - shift[j])[None]),
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_pair_is_below_its_own_largest_over_all_slopes(seed):
    random = np.random.default_rng(seed)
    widths = [(3, 4, 3), (2, 5, 4), (4, 3, 3, 3)][seed % 3]
    chain = random_chain(random, widths, mixed(random))
    pairs = output_pairs(chain, 50)
    assert (pairs == pairs.T).all()
    assert (np.diagonal(pairs) == 0).all()
    for i in range(widths[-1]):
        for j in range(i):
            true = largest_over_slopes(of_pair(chain, i, j))
            assert true <= pairs[i, j]
            assert pairs[i, j] <= certified_value(
                of_pair(chain, i, j), full_diagonal_scales(chain, iterations=50).scales
            ) * (1 + 1e-6)


def test_a_single_layer_is_exact():
    chain = random_chain(np.random.default_rng(0), (5, 4))
    wanted = [[np.linalg.norm(one - other) for other in chain.weights[0]] for one in chain.weights[0]]
    assert output_pairs(chain) == pytest.approx(np.array(wanted), rel=1e-9, abs=1e-12)
    assert (output_pairs(chain) >= np.array(wanted)).all()


def test_a_layer_of_zeros_has_no_slope():
    chain = random_chain(np.random.default_rng(0), (3, 2, 2))
    nothing = replace(chain, weights=(np.zeros((2, 3)), chain.weights[1]))
    assert (output_pairs(nothing) == 0).all()


def test_equal_outputs_never_part():
    chain = random_chain(np.random.default_rng(1), (3, 4, 2))
    twin = replace(chain, weights=(chain.weights[0], chain.weights[1][[0, 0]]), biases=(chain.biases[0], np.zeros(2)))
    assert output_pairs(twin)[0, 1] < 1e-5


def test_pairs_are_below_the_root_of_two_times_the_constant():
    """On a network of digits' size: a sixth less than √2 L in the median."""
    random = np.random.default_rng(2)
    chain = random_chain(random, (64, 48, 32, 10))
    pairs = output_pairs(chain, 100)
    whole = np.sqrt(2) * full_diagonal(chain, iterations=100).value
    apart = pairs[~np.eye(10, dtype=bool)]
    assert apart.max() <= whole * (1 + 1e-9)
    assert np.median(apart) < 0.83 * whole


def test_a_network_takes_the_better_of_both():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 4)).eval()
    graph = canonical_form(module, torch.zeros(2, 6))
    pairs = pair_constants(graph)
    x = torch.randn(2, 4000, 6, dtype=torch.float64) * 2
    with torch.no_grad():
        f, g = (graph(part[:, None]).flatten(1) for part in x)
    change = ((f - g)[:, :, None] - (f - g)[:, None, :]).abs() / (x[0] - x[1]).norm(dim=1)[:, None, None]
    assert (change.amax(dim=0).numpy() <= pairs).all()
    branched = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 4))
    assert (pair_constants(canonical_form(branched.eval(), torch.zeros(2, 6)), 0) > 0).sum() == 12


def test_the_search_is_kept_for_the_same_chain_alone():
    chain = random_chain(np.random.default_rng(5), (3, 4, 2))
    first = full_diagonal_scales(chain, iterations=20)
    assert full_diagonal_scales(chain, iterations=20) is first
    assert full_diagonal_scales(chain, iterations=21) is not first
    assert full_diagonal_scales(chain, iterations=20, budget=100.0) is not first
    moved = replace(chain, weights=(chain.weights[0] * 1.5, chain.weights[1]))
    assert full_diagonal_scales(moved, iterations=20) is not first

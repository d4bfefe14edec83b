"""Activation regions against closed forms and against points."""

import numpy as np
import pytest

from bench.functional.lipschitz.chain import DenseChain, relu
from bench.functional.lipschitz.chain_bounds.chain_values import jacobian
from bench.functional.lipschitz.chain_bounds.enumeration import constant, regions
from bench.functional.lipschitz.regions import Box
from tests.functional.lipschitz.chains import (
    constant_of_non_negative,
    largest_over_slopes,
    paper_network,
    random_chain,
    sloped,
)


def hat(width=1.0):
    """``relu(x) − 3 relu(x − 1) + 2 relu(x − 1 − width)``: slopes 0, 1, −2, 0."""
    biases = (np.array([0.0, -1.0, -1.0 - width]), np.zeros(1))
    return DenseChain((np.ones((3, 1)), np.array([[1.0, -3.0, 2.0]])), biases, (relu(3),))


def test_a_hat_has_four_pieces_and_its_steepest_slope():
    assert sorted(tuple(pattern[0]) for pattern in regions(hat())) == [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]
    for norm in ("l2", "linf"):
        bound = constant(hat(), norm)
        assert 2 * (1 - 1e-10) <= bound.value <= 2
        assert bound.note.endswith("4 regions")


def test_a_box_counts_only_what_is_in_it():
    below = constant(hat(), box=Box(np.array([-1.0]), np.array([0.5])))
    assert below.value == pytest.approx(1)
    assert below.domain == "box"
    assert constant(hat(), box=Box(np.array([-2.0]), np.array([-1.0]))).value == 0
    assert constant(hat(), box=Box(np.array([0.5]), np.array([1.5]))).value == pytest.approx(2)


def test_a_region_thinner_than_the_margin_is_left_out_and_one_above_it_is_not():
    assert constant(hat(1e-9)).value == pytest.approx(1)
    assert constant(hat(1e-5)).value == pytest.approx(2)


@pytest.mark.parametrize(("n", "d", "expected"), [(5, 2, 16), (4, 3, 15), (6, 1, 7)])
def test_hyperplanes_in_general_position_make_as_many_regions_as_zaslavsky_says(n, d, expected):
    """``Σ_{i ≤ d} C(n, i)``."""
    chain = random_chain(np.random.default_rng(n), [d, n, 1])
    assert len({tuple(pattern[0]) for pattern in regions(chain)}) == expected


def patterns_at(chain, x):
    found, z = [], x
    for number, (weight, bias) in enumerate(zip(chain.weights[:-1], chain.biases[:-1], strict=True)):
        z = (np.maximum(z, 0) if number else z) @ weight.T + bias
        found.append(z > 0)
    return {tuple(row) for row in np.hstack(found)}


@pytest.mark.parametrize("seed", range(4))
def test_every_pattern_of_points_is_found_and_every_one_found_has_points(seed):
    random = np.random.default_rng(seed)
    chain = random_chain(random, [2, 4, 3, 1])
    found = {tuple(np.concatenate(pattern) > 0) for pattern in regions(chain)}
    seen = set()
    for spread in (0.1, 0.3, 1, 3, 10, 100):
        seen |= patterns_at(chain, spread * random.normal(size=(20_000, 2)))
    assert seen <= found
    assert len(found - seen) <= 1  # a region may be too thin to hit by chance


def test_the_constant_is_the_largest_jacobian():
    random = np.random.default_rng(8)  # one without far and narrow wedges, which points miss
    chain = random_chain(random, [2, 5, 3])
    along = jacobian(chain, random.choice([0.1, 1, 10, 1e4], size=(20_000, 1)) * random.normal(size=(20_000, 2)))
    for norm, order in (("l2", 2), ("linf", np.inf)):
        assert constant(chain, norm).value == pytest.approx(np.linalg.norm(along, order, (1, 2)).max(), rel=1e-9)
    assert constant(chain).value < largest_over_slopes(chain)  # regions that cannot be are not counted


def test_a_network_without_negative_weights_is_its_matrix_product():
    chain = paper_network(3, 4)
    assert constant(chain).value == pytest.approx(constant_of_non_negative(chain), rel=1e-9)


def test_a_neuron_that_sees_nothing_is_on_or_off():
    weights = (np.array([[1.0], [0.0], [0.0]]), np.array([[1.0, 5.0, 5.0]]))
    chain = DenseChain(weights, (np.array([0.0, 1.0, -1.0]), np.zeros(1)), (relu(3),))
    assert sorted(tuple(pattern[0]) for pattern in regions(chain)) == [(0, 1, 0), (1, 1, 0)]


@pytest.mark.parametrize(
    ("widths", "kind", "complaint"), [([2, 21, 1], relu, "21 ReLUs"), ([2, 3, 1], sloped(0.1, 1), "leaky")]
)
def test_what_is_too_large_or_no_relu_is_refused(widths, kind, complaint):
    with pytest.raises(ValueError, match=complaint):
        constant(random_chain(np.random.default_rng(0), widths, kind))

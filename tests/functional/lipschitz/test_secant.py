"""Lower bounds: reached where the constant is known, and never above it."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from bench.functional.lipschitz.chain import Activation, DenseChain, relu
from bench.functional.lipschitz.chain_bounds.activation_functions import SMOOTH, evaluated
from bench.functional.lipschitz.chain_bounds.chain_values import jacobian, value, value_with_error
from bench.functional.lipschitz.chain_bounds.enumeration import constant
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.chain_bounds.lower import secant
from bench.functional.lipschitz.regions import Box
from tests.functional.lipschitz.chains import constant_of_non_negative, paper_network, random_chain, sloped

SLOPES = {
    "tanh": (0, 1),
    "sigmoid": (0, 0.25),
    "gelu": (-0.128905, 1.128905),
    "silu": (-0.09984, 1.09984),
    "hardswish": (-0.5, 1.5),
}


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_most_small_relu_chains_are_reached(norm):
    found = []
    for seed in range(4):
        chain = random_chain(np.random.default_rng(seed), [2, 4, 3, 2])
        found.append(secant(chain, norm, starts=32, iterations=40).value / constant(chain, norm).value)
    assert max(found) <= 1 + 1e-12
    assert min(found) > 0.9
    assert np.median(found) > 0.9999


def test_the_paper_s_network_is_reached():
    chain = paper_network(5, 20)
    true = constant_of_non_negative(chain)
    assert true * (1 - 1e-6) <= secant(chain, starts=16, iterations=20).value <= true


def test_pairs_find_what_points_alone_do_not():
    """The Jacobians on the way reach 1.173."""
    chain = random_chain(np.random.default_rng(0), [10, 30, 30, 5], sloped(0, 1, "tanh"))
    assert secant(chain, iterations=30).value > 1.2


def test_walking_helps():
    chain = random_chain(np.random.default_rng(2), [10, 30, 30, 5])
    still, climbed = (secant(chain, starts=16, iterations=n).value for n in (0, 40))
    assert climbed > 1.05 * still


def test_a_box_keeps_both_points_inside():
    """``relu(x) + 4 relu(x − 1)`` within [0, 1] has slope 1."""
    chain = DenseChain((np.ones((2, 1)), np.array([[1.0, 4.0]])), (np.array([0.0, -1.0]), np.zeros(1)), (relu(2),))
    inside = secant(chain, box=Box(np.zeros(1), np.ones(1)), starts=8, iterations=10)
    assert inside.value == pytest.approx(1)
    assert (inside.domain, inside.kind) == ("box", "lower")
    assert secant(chain, starts=32).value == pytest.approx(5)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    chain = random_chain(np.random.default_rng(3), [3, 8, 8, 2])
    first, same, other = (secant(chain, starts=4, iterations=3, seed=seed).value for seed in (0, 0, 1))
    assert first == same != other


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_smooth_activations_have_their_slopes_and_lie_below_the_bounds(name):
    low, high = SLOPES[name]
    z = np.linspace(-8, 8.0013, 4000)
    activation = sloped(low, high, name)(1)
    values, slopes = evaluated(activation, z[:, None])
    assert low <= slopes.min()
    assert slopes.max() <= high
    kinks = np.abs(np.abs(z) - 3) < 0.01
    np.testing.assert_allclose(np.gradient(values[:, 0], z)[~kinks][1:-1], slopes[~kinks][1:-1, 0], atol=3e-3)
    assert slopes.min() == pytest.approx(low, abs=2e-3)
    assert slopes.max() == pytest.approx(high, abs=2e-3)
    chain = random_chain(np.random.default_rng(0), [3, 6, 5, 2], sloped(low, high, name))
    assert secant(chain, starts=16, iterations=30).value <= full_diagonal(chain, iterations=30).value


def test_the_jacobian_is_the_limit_of_secants():
    random = np.random.default_rng(4)
    chain = random_chain(random, [3, 6, 5, 2], sloped(-0.128905, 1.128905, "gelu"))
    x, step = random.normal(size=(5, 3)), 1e-6
    for number, along in enumerate(np.eye(3)):
        rise = (value(chain, x + step * along) - value(chain, x - step * along)) / (2 * step)
        np.testing.assert_allclose(jacobian(chain, x)[:, :, number], rise, atol=1e-8)


def test_what_cancels_in_the_first_layer_is_in_the_error_bound_of_the_last():
    random = np.random.default_rng(8)
    wide = np.outer(random.normal(size=6), [1.0, -1.0, 0.0]) * 1e12 / 3
    weights = (random.normal(size=(6, 3)) + wide, random.normal(size=(2, 6)))
    chain = DenseChain(weights, (np.full(6, 50.0), np.zeros(2)), (relu(6),))
    x = random.normal(size=(20, 1)) * np.array([1.0, 1.0, 0.0]) + np.array([0, 0, 1.0])
    values, off = value_with_error(chain, x)
    worst = 0.0
    for point, found, error in zip(x, values, off, strict=True):
        z = [[sum(Fraction(w) * Fraction(p) for w, p in zip(row, point, strict=True)) + 50 for row in weights[0]]]
        true = [sum(Fraction(w) * max(s, 0) for w, s in zip(row, z[0], strict=True)) for row in weights[1]]
        for exact, computed, bound in zip(true, found, error, strict=True):
            missed = abs(float(exact - Fraction(computed)))
            assert missed <= bound
            worst = max(worst, missed)
    assert worst > 1e-7  # it does go wrong


@pytest.mark.parametrize("name", ["leaky_relu", "tanh"])
def test_values_lie_within_their_error_bounds(name):
    random = np.random.default_rng(5)
    chain = random_chain(random, [3, 6, 6, 2], sloped(0.1 if name == "leaky_relu" else 0, 1, name))
    x = 100 * random.normal(size=(20, 3))
    values, off = value_with_error(chain, x)
    with mpmath.workdps(50):
        for point, found, error in zip(x, values, off, strict=True):
            z = mpmath.matrix(point.tolist())
            for number, (weight, bias) in enumerate(zip(chain.weights, chain.biases, strict=True)):
                if number:
                    tenth = mpmath.mpf(0.1)
                    z = z.apply(mpmath.tanh if name == "tanh" else lambda s, tenth=tenth: s if s > 0 else tenth * s)
                z = mpmath.matrix(weight.tolist()) * z + mpmath.matrix(bias.tolist())
            for true, computed, bound in zip(z, found, error, strict=True):
                assert abs(true - mpmath.mpf(float(computed))) <= bound < 1e-10


def test_a_difference_that_is_rounding_alone_is_no_lower_bound():
    """Outputs of 10¹⁶ that differ by nothing: computed values differ by their last place."""
    chain = DenseChain(
        (np.array([[1e16], [1e16]]), np.array([[1.0 / 3, -1.0 / 3]])), (np.array([0.0, 1.0]), np.zeros(1)), (relu(2),)
    )
    assert (
        secant(chain, starts=64, iterations=20, box=Box(np.array([1.0]), np.array([1.0 + 1e-9]))).value
        < 1e-3 * 1e16 / 3
    )


def test_an_activation_without_a_function_is_refused():
    chain = random_chain(np.random.default_rng(6), [2, 2, 1], lambda n: Activation("mystery", np.zeros(n), np.ones(n)))
    with pytest.raises(ValueError, match="no function is known for the activation 'mystery'; known are gelu"):
        secant(chain)

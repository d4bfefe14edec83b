"""Every lower bound is below the constant, and the constant below every certified bound, over many random chains."""

import numpy as np
import pytest

from bench.functional.lipschitz.chain import Activation, DenseChain, relu
from bench.functional.lipschitz.chain_bounds.absolute_product import absolute_product
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.enumeration import constant
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.chain_bounds.liplt import liplt
from bench.functional.lipschitz.chain_bounds.lower import secant
from bench.functional.lipschitz.chain_bounds.product import product
from tests.functional.lipschitz.chains import largest_over_slopes, mixed, random_chain, sloped

KINDS = {
    "relu": relu,
    "leaky": sloped(0.2, 1),
    "gelu": sloped(-0.129, 1.129, "gelu"),
    "steep": sloped(-1, 2),
    "even": sloped(-1, 1),
}


def uppers(chain):
    """By norm."""
    both = {norm: [product(chain, norm), liplt(chain, norm), absolute_product(chain, norm)] for norm in ("l2", "linf")}
    both["l2"] += [eclipse_fast(chain), full_diagonal(chain, iterations=20)]
    return both


def drawn(seed, activation):
    random = np.random.default_rng(seed)
    widths = [random.integers(1, 4), *random.integers(1, 4, size=random.integers(1, 3)), random.integers(1, 4)]
    return random_chain(random, widths, activation)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_of_relu_chains_enclose_the_constant(seed):
    chain = drawn(seed, relu)
    for norm, bounds in uppers(chain).items():
        true = constant(chain, norm)
        below = secant(chain, norm, starts=16, iterations=30)
        assert below.value <= true.value * (1 + 1e-12)
        assert true.value <= largest_over_slopes(chain, 2 if norm == "l2" else np.inf) * (1 + 1e-12)
        for bound in bounds:
            assert (bound.kind, bound.norm, bound.domain) == ("certified", norm, "global")
            assert true.value <= bound.value, bound.method


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_above_all_slopes_and_secants(kind, seed):
    chain = drawn(100 + seed, KINDS[kind])
    for norm, bounds in uppers(chain).items():
        true = largest_over_slopes(chain, 2 if norm == "l2" else np.inf)
        assert secant(chain, norm, starts=16, iterations=20).value <= true * (1 + 1e-12)
        for bound in bounds:
            assert true <= bound.value, bound.method


@pytest.mark.parametrize("seed", range(10))
def test_bounds_with_slopes_of_each_neuron_s_own(seed):
    chain = drawn(200 + seed, mixed(np.random.default_rng(seed)))
    for norm, bounds in uppers(chain).items():
        true = largest_over_slopes(chain, 2 if norm == "l2" else np.inf)
        for bound in bounds:
            assert true <= bound.value, bound.method


@pytest.mark.parametrize("kind", KINDS)
def test_no_method_is_above_the_product(kind):
    """By their rules; what each adds for rounding is less than 1e-8."""
    chain = random_chain(np.random.default_rng(0), [5, 8, 8, 8, 3], KINDS[kind])
    for norm, bounds in uppers(chain).items():
        for bound in bounds:
            if (bound.method, norm) != ("absolute-product", "l2"):
                assert bound.value <= bounds[0].value * (1 + 1e-8), bound.method


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_liplt_is_the_average_over_sets_of_layers(norm):
    """Combettes and Pesquet's average over all 2^l subsets of l = 3 hidden layers, for slopes 0 to 1."""
    chain = random_chain(np.random.default_rng(1), [4, 5, 6, 5, 3])
    order = 2 if norm == "l2" else np.inf
    total = 0.0
    for cuts in range(8):
        value, whole = 1.0, chain.weights[0]
        for layer, weight in enumerate(chain.weights[1:]):
            if cuts >> layer & 1:
                value, whole = value * np.linalg.norm(whole, order), weight
            else:
                whole = weight @ whole
        total += value * np.linalg.norm(whole, order)
    assert liplt(chain, norm).value == pytest.approx(total / 8, rel=1e-10)


def test_in_the_largest_norm_the_absolute_product_is_the_best_rescaled_product():
    chain = random_chain(np.random.default_rng(2), [4, 5, 6, 3])
    before, weights = np.ones(4), []
    for weight in chain.weights:
        after = np.abs(weight) @ before
        weights.append(weight * before / after[:, None])
        before = after
    weights[-1] = weights[-1] * before[:, None]
    balanced = DenseChain(tuple(weights), chain.biases, chain.activations)
    value = absolute_product(chain, "linf").value
    assert value == pytest.approx(product(balanced, "linf").value, rel=1e-10)
    assert value < 0.9 * product(chain, "linf").value


@pytest.mark.parametrize("method", [product, absolute_product, liplt, eclipse_fast, full_diagonal, secant])
def test_a_single_matrix_has_its_norm(method):
    matrix = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0]])
    chain = DenseChain((matrix,), (np.ones(2),), ())
    assert method(chain).value == pytest.approx(3.0, rel=1e-9)


def test_the_product_shows_its_layers():
    chain = DenseChain((2 * np.eye(2), np.array([[3.0, 4.0]])), (np.zeros(2), np.zeros(1)), (sloped(0, 2)(2),))
    bound = product(chain)
    assert [layer.layer for layer in bound.layers] == ["layer 1", "layer 2"]
    assert [layer.upper for layer in bound.layers] == pytest.approx([2, 10])
    assert all(layer.lower <= layer.upper for layer in bound.layers)
    assert bound.value == pytest.approx(20)
    assert 0 < bound.slack < 1e-11


def test_a_slope_s_sign_counts():
    """Slopes −3 to 1 have the product of slope 3."""
    chain = DenseChain((np.eye(1), np.eye(1)), (np.zeros(1),) * 2, (Activation("x", np.array([-3.0]), np.ones(1)),))
    for bound in uppers(chain)["l2"]:
        assert bound.value == pytest.approx(3), bound.method

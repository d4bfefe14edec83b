"""Full-diagonal multipliers: where they end, what they cost nothing to, and how they stop."""

import itertools

import numpy as np
import pytest

from bench.functional.lipschitz.chain import DenseChain, relu
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast, fast_scales
from bench.functional.lipschitz.chain_bounds.elimination import Elimination
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.chain_bounds.quasi_newton import minimise
from bench.functional.lipschitz.chain_bounds.recursion import certified_value
from tests.functional.lipschitz.chains import (
    constant_of_non_negative,
    largest_over_slopes,
    mixed,
    paper_network,
    random_chain,
    sloped,
)


@pytest.mark.parametrize(("layers", "n"), [(2, 80), (5, 80), (10, 80), (20, 20)])
def test_the_paper_s_networks_are_exact(layers, n):
    chain = paper_network(layers, n)
    true = constant_of_non_negative(chain)
    bound = full_diagonal(chain)
    assert true <= bound.value <= true * (1 + 1e-6)
    assert (bound.method, bound.kind, bound.note) == ("full-diagonal", "certified", "")


def by_torch(chain, s, power):
    """``log L`` by the textbook: dense inverses, autograd."""
    import torch

    s = torch.tensor(s, requires_grad=True)
    scales = s.split([*chain.widths[1:-1]])
    shape = torch.eye(chain.widths[0], dtype=torch.float64)
    for weight, activation, part in zip(chain.weights, chain.activations, scales, strict=False):
        middle = torch.tensor((activation.alpha + activation.beta) / 2)
        radius = torch.tensor((activation.beta - activation.alpha) / 2)
        size = torch.exp(part) ** 2
        q = torch.tensor(weight) @ shape @ torch.tensor(weight).T
        bent = (radius > 0).nonzero()[:, 0]
        gap = torch.diag(size[bent]) - q[bent][:, bent]
        inner = q + q[:, bent] @ torch.linalg.inv(gap) @ q[bent]
        shape = torch.diag(radius**2 * size) + middle[:, None] * inner * middle
    eigenvalues = torch.linalg.eigvalsh(torch.tensor(chain.weights[-1]) @ shape @ torch.tensor(chain.weights[-1]).T)
    eigenvalues = eigenvalues[-min(chain.weights[-1].shape) :]
    value = (
        torch.log(eigenvalues[-1]) / 2
        if np.isinf(power)
        else torch.logsumexp(power * eigenvalues.log(), 0) / (2 * power)
    )
    value.backward()
    return value.item(), s.grad.numpy()


@pytest.mark.parametrize("power", [3.0, np.inf])
@pytest.mark.parametrize("outputs", [1, 3, 9])
@pytest.mark.parametrize("slopes", ["relu", "gelu", "leaky", "mixed"])
def test_value_and_gradient_are_autograd_s(slopes, outputs, power):
    random = np.random.default_rng(len(slopes))
    kind = {"relu": relu, "gelu": sloped(-0.1289, 1.1289), "leaky": sloped(0.3, 1), "mixed": mixed(random)}[slopes]
    chain = random_chain(random, [9, 6, 5, 7, outputs], kind)
    s = np.log(np.concatenate(fast_scales(chain, 0.8)))
    s += 0.02 * random.normal(size=s.shape)
    value, gradient = Elimination(chain)(s, power)
    expected = by_torch(chain, s, power)
    assert value == pytest.approx(expected[0], abs=1e-12)
    np.testing.assert_allclose(gradient, expected[1], atol=1e-11)


def test_rescaling_neurons_changes_nothing():
    random = np.random.default_rng(0)
    chain = random_chain(random, [4, 12, 12, 3])
    d = [np.exp(random.normal(size=12)) for _ in range(2)]
    weights = (chain.weights[0] * d[0][:, None], chain.weights[1] * d[1][:, None] / d[0], chain.weights[2] / d[1])
    other = DenseChain(weights, chain.biases, chain.activations)
    scales = fast_scales(chain, 0.9)
    moved = [scale * factor for scale, factor in zip(scales, d, strict=True)]
    assert certified_value(other, moved) == pytest.approx(certified_value(chain, scales), rel=1e-10)
    assert eclipse_fast(other).value > 1.2 * eclipse_fast(chain).value  # it does change
    assert full_diagonal(other).value == pytest.approx(full_diagonal(chain).value, rel=1e-4)


@pytest.mark.parametrize(("widths", "seed"), [([30, 6, 5, 2], 0), ([2, 6, 5, 30], 1)])
def test_long_inputs_and_outputs_are_shrunk_exactly(widths, seed):
    """The same chain with its first and last matrix rotated into as few dimensions as they have."""
    chain = random_chain(np.random.default_rng(seed), widths)
    left, values, _ = np.linalg.svd(chain.weights[0], full_matrices=False)
    last = np.linalg.qr(chain.weights[-1], mode="r")
    short = DenseChain(
        (left * values, chain.weights[1], last), (*chain.biases[:-1], np.zeros(len(last))), chain.activations
    )
    assert full_diagonal(short).value == pytest.approx(full_diagonal(chain).value, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_slopes_of_every_kind_end_well_below_eclipse_fast(seed):
    random = np.random.default_rng(seed)
    chain = random_chain(random, [3, 6, 5, 2], mixed(random))
    bound = full_diagonal(chain)
    assert largest_over_slopes(chain) <= bound.value < 0.95 * eclipse_fast(chain).value


def test_slopes_symmetric_about_zero_do_not_hold_it_up():
    """Their value does not rise towards the edge; without the eased stages the descent stays at its start."""
    chain = random_chain(np.random.default_rng(0), [5, 6, 6, 3], sloped(-1, 1))
    assert full_diagonal(chain, iterations=300).value < 0.88 * eclipse_fast(chain).value


def test_a_given_number_of_iterations_gives_the_same_bits():
    chain = random_chain(np.random.default_rng(1), [4, 10, 10, 3])
    first, second = (full_diagonal(chain, iterations=15) for _ in range(2))
    assert first.value == second.value
    assert first.note == "stopped after 15 iterations"
    assert full_diagonal(chain).value < first.value


def test_a_time_limit_gives_a_bound_and_says_so():
    chain = paper_network(5)
    bound = full_diagonal(chain, budget=0.0)
    assert constant_of_non_negative(chain) <= bound.value <= eclipse_fast(chain).value
    assert bound.note == "stopped at its time limit of 0 s"


def test_progress_is_told_and_falls_within_a_stage():
    told = []
    full_diagonal(paper_network(5, 20), progress=lambda *of: told.append(of))
    iterations, values, seconds = zip(*told, strict=True)
    assert list(iterations) == list(range(len(told)))
    assert list(values) == sorted(values, reverse=True)
    assert list(seconds) == sorted(seconds)


def test_every_iterate_is_a_certificate():
    chain = random_chain(np.random.default_rng(2), [2, 3, 3, 2])
    true, elimination = largest_over_slopes(chain), Elimination(chain)
    count = 0
    for iterate in minimise(elimination, np.log(np.concatenate(fast_scales(chain, 0.98)))):
        value = certified_value(chain, [np.exp(part) for part in elimination.split(iterate.point)])
        assert true <= value == pytest.approx(np.exp(iterate.value), rel=1e-9)
        count += 1
        if count > 60:
            break
    assert count > 10


def test_a_descent_learns_the_curvature_of_a_valley():
    """Rosenbrock's: along the gradient alone it takes thousands of steps."""

    def objective(point):
        x, y = point
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2, np.array([2 * (x - 1) - 400 * x * (y - x**2), 200 * (y - x**2)])

    points = [*itertools.islice(minimise(objective, np.array([-1.2, 1.0])), 60)]
    np.testing.assert_allclose(points[-1].point, [1, 1], atol=1e-6)


def test_a_descent_stays_in_its_domain_and_passes_a_kink():
    """``|x| + 2|y|`` where x + y < 3, infinite elsewhere."""

    def objective(point):
        if point.sum() >= 3:
            return np.inf, point
        return float(np.abs(point) @ [1, 2]), np.sign(point) * [1, 2]

    points = [*minimise(objective, np.array([2.7, 0.2]))]
    assert points[-1].value < 1e-6
    assert all(a.value > b.value for a, b in itertools.pairwise(points))


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_layer_of_zeros_has_constant_zero(layer):
    chain = random_chain(np.random.default_rng(3), [3, 4, 4, 2])
    weights = tuple(weight * (number != layer) for number, weight in enumerate(chain.weights))
    assert full_diagonal(DenseChain(weights, chain.biases, chain.activations)).value < 1e-100


@pytest.mark.parametrize("end", ["in", "out"])
def test_a_neuron_without_weights_changes_nothing(end):
    """Its best scale is nothing or without end."""
    chain = random_chain(np.random.default_rng(4), [3, 5, 4, 2])
    first, second, last = (weight.copy() for weight in chain.weights)
    if end == "in":
        first[2] = 0
    else:
        second[:, 2] = 0
    dead = DenseChain((first, second, last), chain.biases, chain.activations)
    kept = np.arange(5) != 2
    rest = DenseChain(
        (first[kept], second[:, kept], last), (chain.biases[0][kept], *chain.biases[1:]), (relu(4), relu(4))
    )
    assert full_diagonal(dead).value == pytest.approx(full_diagonal(rest).value, rel=1e-4)


@pytest.mark.parametrize("size", [2.0**-200, 2.0**200])
def test_sizes_of_weights_do_not_matter(size):
    chain = random_chain(np.random.default_rng(5), [3, 4, 4, 2])
    weights = (chain.weights[0] * size, chain.weights[1], chain.weights[2] / size)
    other = full_diagonal(DenseChain(weights, chain.biases, chain.activations))
    assert other.value == pytest.approx(full_diagonal(chain).value, rel=1e-4)

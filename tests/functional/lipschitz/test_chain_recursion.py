"""The certificate against brute force over slopes, in 60 digits, and at the edge of what is feasible."""

import mpmath
import numpy as np
import pytest

from bench.functional.lipschitz.chain import Activation, DenseChain, relu
from bench.functional.lipschitz.chain_bounds.eclipse_fast import fast_scales
from bench.functional.lipschitz.chain_bounds.recursion import certificate, certified_value, gram_above, shape_above
from tests.functional.lipschitz.chains import largest_over_slopes, mixed, random_chain, sloped

KINDS = [relu, sloped(0.1, 1), sloped(-0.1289, 1.1289), sloped(-0.5, 1.5), sloped(-1, 1), sloped(-2, -0.5)]


def in_sixty_digits(chain, scales):
    """The recursion in the notation of multipliers, ``X_i = Λ − ¼ Λ(α+β)W X'⁻¹ Wᵀ(α+β)Λ``; None where not feasible."""
    with mpmath.workdps(60):
        before = mpmath.eye(chain.widths[0])
        for weight, activation, scale in zip(chain.weights, chain.activations, scales, strict=False):
            w = mpmath.matrix(weight.tolist())
            alpha, beta = ([mpmath.mpf(float(entry)) for entry in end] for end in (activation.alpha, activation.beta))
            size = [1 / ((b - a) / 2 * mpmath.mpf(float(t))) ** 2 for a, b, t in zip(alpha, beta, scale, strict=True)]
            before = before + w.T * mpmath.diag([a * b * s for a, b, s in zip(alpha, beta, size, strict=True)]) * w
            if not definite(before):
                return None
            side = mpmath.diag([(a + b) * s / 2 for a, b, s in zip(alpha, beta, size, strict=True)]) * w
            before = mpmath.diag(size) - side * before**-1 * side.T
            if not definite(before):
                return None
        w = mpmath.matrix(chain.weights[-1].tolist())
        end = w * before**-1 * w.T
        return mpmath.sqrt(max(mpmath.eigsy((end + end.T) / 2, eigvals_only=True)))


@pytest.mark.parametrize("seed", range(10))
def test_each_step_s_matrix_is_above_the_true_one(seed):
    """By what is added for rounding, and by little more."""
    random = np.random.default_rng(seed)
    weight, before, after = random.normal(size=(3, 5)), 1 + random.random(5), 9 + random.random(3)
    shape = random.normal(size=(5, 5))
    shape = (shape @ shape.T + shape @ shape.T) / 2
    alpha = random.choice([-0.5, 0.0, 0.3], size=3)
    gram = gram_above(weight, shape / 20, before, after, first=False)
    above = shape_above(Activation("leaky_relu", alpha, np.ones(3)), gram)
    with mpmath.workdps(60):
        w = mpmath.diag([1 / mpmath.mpf(float(t)) for t in after]) * mpmath.matrix(weight.tolist())
        w = w * mpmath.diag(before.tolist())
        true = w * mpmath.matrix((shape / 20).tolist()) * w.T
        lift = mpmath.matrix(gram.tolist()) - true
        assert definite(lift)
        assert mpmath.mnorm(lift, 1) < 1e-12
        k = mpmath.matrix(gram.tolist())
        middle, radius = ([(mpmath.mpf(1) + sign * mpmath.mpf(float(a))) / 2 for a in alpha] for sign in (1, -1))
        m = mpmath.diag(middle)
        true = mpmath.diag([r**2 for r in radius]) + m * k * (mpmath.eye(3) - k) ** -1 * m
        lift = mpmath.matrix(above.tolist()) - true
        assert definite(lift)
        assert mpmath.mnorm(lift, 1) < 1e-11


def test_neurons_that_do_not_bend_are_raised_by_their_rounding():
    """``m K m`` of three numbers that are no round ones."""
    random = np.random.default_rng(0)
    for _ in range(20):
        slope, k = random.random(3) + 0.5, random.normal(size=(3, 3))
        k = (k @ k.T + (k @ k.T).T) / 2
        above = shape_above(Activation("leaky_relu", slope, slope), k)
        with mpmath.workdps(60):
            m = mpmath.diag([mpmath.mpf(float(entry)) for entry in slope])
            assert definite(mpmath.matrix(above.tolist()) - m * mpmath.matrix(k.tolist()) * m)


def definite(matrix):
    return min(mpmath.eigsy((matrix + matrix.T) / 2, eigvals_only=True)) > 0


def grown(scales, factor):
    return [scale * factor for scale in scales]


@pytest.mark.parametrize("seed", range(24))
def test_no_scales_certify_less_than_the_worst_slopes(seed):
    random = np.random.default_rng(seed)
    widths = [2, *random.integers(1, 4, size=random.integers(1, 4)), 2]
    chain = random_chain(random, widths, mixed(random) if seed % 2 else KINDS[seed // 2 % len(KINDS)])
    true = largest_over_slopes(chain)
    found = 0
    for spread in (0.0, 0.05, 0.2, 1.0):
        for _ in range(5):
            scales = [scale * np.exp(spread * random.normal(size=len(scale))) for scale in fast_scales(chain, 0.9)]
            value = certified_value(chain, scales)
            if value is not None:
                found += 1
                assert value >= true
    assert found > 4


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_the_value_is_the_recursion_s_in_sixty_digits_and_never_below(kind):
    random = np.random.default_rng(kind)
    for _ in range(3):
        chain = random_chain(random, [2, 3, 3, 2], KINDS[kind])
        scales = [scale * np.exp(0.05 * random.normal(size=3)) for scale in fast_scales(chain, 0.8)]
        true, value = in_sixty_digits(chain, scales), certified_value(chain, scales)
        assert true is not None
        assert true <= value <= true * (1 + mpmath.mpf("1e-10"))


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_near_the_edge_what_is_certified_is_feasible_and_not_too_small(kind):
    """Scales shrink until 60 digits say no; around that point float64 says no wherever they do."""
    random = np.random.default_rng(100 + kind)
    chain = random_chain(random, [2, 3, 2, 1], KINDS[kind])
    scales = grown(fast_scales(chain, 0.9), 1.0)
    low, high = 0.0, 1.0  # factors: not feasible, feasible
    for _ in range(44):
        factor = (low + high) / 2
        low, high = (low, factor) if in_sixty_digits(chain, grown(scales, factor)) is not None else (factor, high)
    certain = 0
    for step in (-1e-9, -1e-12, -1e-14, 0, 1e-15, 1e-14, 1e-13, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4):
        at = grown(scales, high * (1 + step))
        value, true = certified_value(chain, at), in_sixty_digits(chain, at)
        assert value is None or (true is not None and value >= true), step
        certain += value is not None
    assert certain >= 2  # at 1e-4 and 1e-6 at least


def test_neurons_that_do_not_bend_are_exact():
    """All slopes are single numbers: the chain is linear, whatever the scales."""
    random = np.random.default_rng(0)

    def linear(n):
        slope = random.choice([-0.5, 0.0, 1.0, 2.0], size=n)
        return Activation("leaky_relu", slope, slope)

    chain = random_chain(random, [3, 5, 4, 2], linear)
    true = largest_over_slopes(DenseChain(chain.weights, chain.biases, chain.activations))
    assert true <= certified_value(chain, [np.ones(5), np.ones(4)]) <= true * (1 + 1e-11)


def test_a_neuron_that_is_off_is_as_if_it_were_not_there():
    random = np.random.default_rng(3)
    chain = random_chain(random, [3, 4, 2])
    beta = np.array([1.0, 1.0, 0.0, 1.0])
    off = DenseChain(chain.weights, chain.biases, (Activation("relu", np.zeros(4), beta),))
    kept = beta > 0
    rest = DenseChain(
        (chain.weights[0][kept], chain.weights[1][:, kept]), (chain.biases[0][kept], chain.biases[1]), (relu(3),)
    )
    scale = np.full(4, 3.0)
    assert certified_value(off, [scale]) == pytest.approx(certified_value(rest, [scale[kept]]), rel=1e-12)


@pytest.mark.parametrize("size", [2.0**-300, 1.0, 2.0**300])
def test_sizes_of_weights_do_not_matter(size):
    random = np.random.default_rng(4)
    chain = random_chain(random, [3, 4, 4, 2])
    weights = (chain.weights[0] * size, chain.weights[1], chain.weights[2] / size)
    scales = fast_scales(chain)
    other = DenseChain(weights, chain.biases, chain.activations)
    assert certified_value(other, grown(scales, size)) == certified_value(chain, scales)


def test_layers_of_zeros_have_constant_zero():
    chain = random_chain(np.random.default_rng(5), [3, 4, 4, 2])
    for layer in range(3):
        weights = tuple(weight * (number != layer) for number, weight in enumerate(chain.weights))
        other = DenseChain(weights, chain.biases, chain.activations)
        assert certified_value(other, fast_scales(other)) < 1e-100


def test_scales_that_are_not_feasible_give_none_and_an_infinite_bound():
    chain = random_chain(np.random.default_rng(6), [3, 4, 2])
    assert certified_value(chain, [np.full(4, 1e-3)]) is None
    bound = certificate(chain, [np.full(4, 1e-3)])
    assert (bound.value, bound.kind, bound.note) == (np.inf, "certified", "the multipliers are not feasible")


@pytest.mark.parametrize(
    ("scales", "complaint"),
    [
        ([], "0 vectors of scales for 1 hidden layers"),
        ([np.ones(3)], "hidden layer 1: scales of shape"),
        ([np.zeros(4)], "hidden layer 1: scales must be positive"),
        ([np.full(4, np.nan)], "hidden layer 1: scales must be positive"),
    ],
)
def test_scales_that_make_no_sense_are_refused(scales, complaint):
    with pytest.raises(ValueError, match=complaint):
        certified_value(random_chain(np.random.default_rng(7), [3, 4, 2]), scales)

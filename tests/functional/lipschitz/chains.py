"""Chains for tests: random ones of every kind, and networks whose constant is known."""

import itertools

import numpy as np

from bench.functional.lipschitz.chain import Activation, DenseChain, relu


def random_chain(random, widths, activation=relu):
    pairs = list(itertools.pairwise(widths))
    weights = tuple(random.normal(size=(after, before)) / np.sqrt(before) for before, after in pairs)
    biases = tuple(random.normal(size=after) / 2 for _, after in pairs)
    return DenseChain(weights, biases, tuple(activation(width) for width in widths[1:-1]))


def sloped(alpha, beta, name="leaky_relu"):
    """The maker of an activation with the same slopes for each neuron."""
    return lambda n: Activation(name, np.full(n, float(alpha)), np.full(n, float(beta)))


def mixed(random):
    """Slopes of every kind, neuron by neuron: off, on, ReLU, leaky, negative, steep, symmetric about 0."""
    kinds = np.array([(0, 0), (1, 1), (0, 1), (0.2, 1), (-0.13, 1.13), (-1, 2), (-1, 1), (-0.7, -0.7), (0.5, 3)])

    def make(n):
        alpha, beta = kinds[random.integers(len(kinds), size=n)].T
        return Activation("leaky_relu", alpha, beta)

    return make


def largest_over_slopes(chain, order=2):
    """``max ‖W D … D W‖`` over all corners of all slopes: no bound that knows slopes alone can be below it."""
    count = sum(chain.widths[1:-1])
    corners = np.array(list(itertools.product((0, 1), repeat=count)))
    cuts = np.cumsum(chain.widths[1:-2])
    whole = np.broadcast_to(chain.weights[0], (len(corners), *chain.weights[0].shape))
    for weight, activation, at in zip(
        chain.weights[1:], chain.activations, np.split(corners, cuts, axis=1), strict=True
    ):
        slope = np.where(at, activation.beta, activation.alpha)
        whole = weight @ (slope[:, :, None] * whole)
    return np.linalg.norm(whole, ord=order, axis=(1, 2)).max()


def paper_network(layers, n=80):
    """The network of figure 2 of arXiv 2404.04375 from its seed: weights and biases are non-negative."""
    random = np.random.RandomState(n * 7 + layers * 13)
    weights, biases = [], []
    for before, after in itertools.pairwise([4, *[n] * (layers - 1), 1]):
        norm = random.uniform(0.4, 1.8)
        weight = random.rand(after, before)
        weights.append(weight / np.linalg.norm(weight, 2) * norm)
        biases.append(random.rand(after))
    return DenseChain(tuple(weights), tuple(biases), tuple(relu(n) for _ in range(layers - 1)))


def constant_of_non_negative(chain):
    """All neurons are active at x > 0, and no Jacobian is larger there: the norm of the product of the matrices."""
    whole = chain.weights[0]
    for weight in chain.weights[1:]:
        whole = weight @ whole
    return np.linalg.norm(whole, 2)

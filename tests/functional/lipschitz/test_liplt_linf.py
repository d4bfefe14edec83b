"""LipLT in l_inf on every network: above every difference quotient, no more than the product, on chains as before."""

import numpy as np
import pytest
import torch

from bench.functional.lipschitz.chain_bounds.enumeration import constant
from bench.functional.lipschitz.chain_bounds.liplt import liplt as of_chain
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain
from bench.functional.lipschitz.methods import lipschitz_bounds
from tests.functional.lipschitz.networks import CONVOLUTIONAL, SHAPE, convolutional, dense

METHODS = ["product", "liplt", "jacobian", "secants"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_between_quotients_and_the_product(kind, seed):
    graph = convolutional(seed, kind)
    samples = np.random.default_rng(seed).normal(size=(12, *SHAPE)) * 2
    found, skipped = lipschitz_bounds(graph, samples, norm="linf", methods=METHODS, budget=5)
    value = {bound.method: bound.value for bound in found}
    assert not skipped
    assert max(value["jacobian"], value["secants"]) <= value["liplt"] <= value["product"] * (1 + 1e-9)
    assert {bound.domain for bound in found} == {"global", "12 samples"}
    pair = torch.randn(2, 400, 1, *SHAPE, dtype=torch.float64) * 3
    with torch.no_grad():
        f, g = (graph(part).flatten(1) for part in pair)
    quotients = (f - g).abs().amax(dim=1) / (pair[0] - pair[1]).flatten(1).abs().amax(dim=1)
    assert float(quotients.max()) <= value["liplt"]


@pytest.mark.parametrize("seed", range(4))
def test_of_a_chain_it_is_what_it_was_and_no_less_than_the_constant(seed):
    graph = dense(seed, (4, 5, 4, 3))
    chain = dense_chain(graph)
    (bound,), _ = lipschitz_bounds(graph, norm="linf", methods=["liplt"])
    assert bound.value == pytest.approx(of_chain(chain, "linf").value, rel=1e-5)
    assert bound.value >= constant(chain, "linf").value

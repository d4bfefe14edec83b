"""ECLipsE-Fast on the paper's networks, to the five digits that are known."""

import pytest

from bench.functional.lipschitz.chain_bounds.absolute_product import absolute_product
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.liplt import liplt
from bench.functional.lipschitz.chain_bounds.product import product
from tests.functional.lipschitz.chains import constant_of_non_negative, paper_network


@pytest.mark.parametrize(
    ("layers", "whole", "fast", "by_liplt", "true"),
    [
        (2, 0.874981, 0.92463, 0.9213, 0.84260),
        (5, 0.418039, 0.90501, 0.9024, 0.80891),
        (10, 0.680802, 0.91412, 0.9124, 0.82895),
        (20, 4.02316, 0.88079, 0.8779, 0.76481),
        (50, 0.0574914, 0.82335, 0.8211, 0.66941),
    ],
)
def test_the_paper_s_networks(layers, whole, fast, by_liplt, true):
    chain = paper_network(layers)
    naive = product(chain).value
    assert naive == pytest.approx(whole, rel=1e-5)
    assert eclipse_fast(chain).value / naive == pytest.approx(fast, abs=6e-6)
    if layers <= 20:
        assert liplt(chain).value / naive == pytest.approx(by_liplt, abs=6e-5)
    assert constant_of_non_negative(chain) / naive == pytest.approx(true, abs=6e-6)
    assert absolute_product(chain).value == pytest.approx(constant_of_non_negative(chain), rel=1e-10)

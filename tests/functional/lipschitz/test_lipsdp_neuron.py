"""LipSDP-Neuron by an SDP solver, and full-diagonal multipliers beside it."""

import itertools
import sys

import numpy as np
import pytest

from bench.errors import MissingExtra
from bench.functional.lipschitz.chain import DenseChain, relu
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.chain_bounds.lipsdp_neuron import lipsdp_neuron
from tests.functional.lipschitz.chains import constant_of_non_negative, largest_over_slopes, mixed, random_chain, sloped


@pytest.fixture
def _solver():
    pytest.importorskip("cvxpy", reason="extra sdp")
    pytest.importorskip("clarabel", reason="extra sdp")


@pytest.mark.usefixtures("_solver")
@pytest.mark.parametrize("kind", [relu, sloped(0.1, 1), sloped(-0.1289, 1.1289), sloped(-0.5, 1.5)])
def test_the_solver_and_the_descent_agree(kind):
    chain = random_chain(np.random.default_rng(0), [6, 8, 7, 2], kind)
    solved, found = lipsdp_neuron(chain), full_diagonal(chain)
    assert found.value == pytest.approx(solved.value, rel=1e-4)
    assert (solved.method, solved.kind, solved.note) == ("lipsdp-neuron", "certified", "")


@pytest.mark.usefixtures("_solver")
@pytest.mark.parametrize("seed", range(3))
def test_it_is_above_the_worst_slopes(seed):
    random = np.random.default_rng(seed)
    chain = random_chain(random, [3, 4, 3, 2], mixed(random))
    assert largest_over_slopes(chain) <= lipsdp_neuron(chain).value <= eclipse_fast(chain).value


@pytest.mark.usefixtures("_solver")
def test_a_network_without_negative_weights_is_exact():
    """Drawn as LipSDP's repository draws its random network: uniform entries over the root of the number of layers."""
    random = np.random.default_rng(0)
    widths = [2, 6, 10, 8, 2]
    weights = tuple(random.random((b, a)) / 2 for a, b in itertools.pairwise(widths))
    chain = DenseChain(weights, tuple(np.zeros(b) for b in widths[1:]), tuple(map(relu, widths[1:-1])))
    assert lipsdp_neuron(chain).value == pytest.approx(constant_of_non_negative(chain), rel=1e-6)


@pytest.mark.usefixtures("_solver")
def test_a_solver_that_stops_early_is_flagged_and_what_it_found_still_holds():
    chain = random_chain(np.random.default_rng(1), [3, 4, 3, 2])
    bound = lipsdp_neuron(chain, max_iter=3)
    assert "the solver" in bound.note
    assert largest_over_slopes(chain) <= bound.value <= eclipse_fast(chain).value


@pytest.mark.parametrize("package", ["cvxpy", "clarabel"])
def test_without_the_extra_it_says_what_to_install(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"package '(cvxpy|clarabel)' is not installed.*\[sdp\]"):  # or neither is
        lipsdp_neuron(random_chain(np.random.default_rng(2), [2, 2, 1]))

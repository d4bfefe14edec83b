"""Bounds of dense chains beside eclipse-nn's ECLipsE (extra ``peers``): bound and time in one run, as ratios.

``python -m pytest tests/benchmarks/test_lipschitz.py --benchmark-only -s`` prints the table.
"""

import contextlib
import io
import itertools
import time

import numpy as np
import pytest

from bench.functional.lipschitz.chain import DenseChain, relu
from bench.functional.lipschitz.chain_bounds.eclipse_fast import eclipse_fast
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
from bench.functional.lipschitz.chain_bounds.liplt import liplt
from bench.functional.lipschitz.chain_bounds.lipsdp_neuron import lipsdp_neuron
from bench.functional.lipschitz.chain_bounds.product import product
from tests.functional.lipschitz.chains import constant_of_non_negative, paper_network


def peer(chain, method):
    """Value and seconds of eclipse-nn; a note where its solver gave way to ECLipsE-Fast, which it only prints."""
    pytest.importorskip("eclipse_nn", reason="extra peers")
    import torch
    from eclipse_nn.LipConstEstimator import LipConstEstimator

    said = io.StringIO()
    started = time.perf_counter()
    with contextlib.redirect_stdout(said):
        value = float(LipConstEstimator(weights=[torch.tensor(w) for w in chain.weights]).estimate(method))
    return value, time.perf_counter() - started, " (fell back to Fast)" if "Falling back" in said.getvalue() else ""


def gaussian(widths, seed):
    random = np.random.default_rng(seed)
    pairs = [*itertools.pairwise(widths)]
    weights = tuple(random.normal(size=(b, a)) / np.sqrt(a) for a, b in pairs)
    return DenseChain(weights, tuple(np.zeros(b) for _, b in pairs), tuple(map(relu, widths[1:-1])))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layers", [2, 5, 10, 20])
def test_the_paper_s_networks_beside_eclipse(benchmark, layers):
    """n = 80; all values over the exact constant."""
    chain = paper_network(layers)
    true = constant_of_non_negative(chain)
    ours = benchmark.pedantic(full_diagonal, (chain,), rounds=1)
    rows = [
        (bound.method, bound.value, bound.seconds, "")
        for bound in (product(chain), liplt(chain), eclipse_fast(chain), ours)
    ]
    rows += [(f"eclipse-nn {method}", *peer(chain, method)) for method in ("ECLipsE_Fast", "ECLipsE")]
    print(f"\n80 neurons, {layers} layers")
    for method, value, seconds, note in rows:
        print(
            f"  {method:24} {value / true:9.6f} × exact  {seconds:9.3f} s  {seconds / ours.seconds:8.2f} × ours{note}"
        )
    by_peer = rows[-1]
    benchmark.extra_info["bound, ours to ECLipsE"] = round(ours.value / by_peer[1], 6)
    benchmark.extra_info["time, ours to ECLipsE"] = round(ours.seconds / by_peer[2], 4)
    assert true <= ours.value <= true * 1.001
    assert ours.seconds < by_peer[2]


@pytest.mark.parametrize("widths", [(10, 20, 20, 5), (5, 15, 15, 15, 15, 3), (784, 30, 10)])
def test_beside_an_sdp_solver(benchmark, widths):
    """The same program by L-BFGS and by Clarabel; weights of both signs."""
    pytest.importorskip("clarabel", reason="extra sdp")
    chain = gaussian(widths, 0)
    ours = benchmark.pedantic(full_diagonal, (chain,), rounds=1)
    solved = lipsdp_neuron(chain)
    bound, taken = ours.value / solved.value, ours.seconds / solved.seconds
    print(f"\n{widths}: bound {bound:.7f} × LipSDP-Neuron's, time {taken:.3f} ×")
    benchmark.extra_info["bound, ours to LipSDP-Neuron"] = round(bound, 7)
    benchmark.extra_info["time, ours to LipSDP-Neuron"] = round(taken, 3)
    assert ours.value <= solved.value * 1.003

"""What the harness itself costs in a cold run of the digits suite: statistics, store, planning.

Some 9 s of 105 s.
"""

import time
from pathlib import Path

from bench import api
from bench.engine import observations
from bench.engine.networks import Networks

SUITE = Path(__file__).parents[2] / "suites" / "digits.toml"


def _clock(patch, owner, name, spent, depth):
    """Add up the time inside a method, not counting what is clocked within it."""
    original = getattr(owner, name)

    def timed(*arguments, **named):
        depth[0] += 1
        started = time.perf_counter()
        try:
            return original(*arguments, **named)
        finally:
            depth[0] -= 1
            if depth[0] == 0:
                spent.append(time.perf_counter() - started)

    patch.setattr(owner, name, timed)


def test_overhead_of_a_cold_run(benchmark, tmp_path, monkeypatch):
    api.run(SUITE, store=str(tmp_path / "warm"), only="ptq8")  # imports
    inside, depth = [], [0]
    _clock(monkeypatch, Networks, "_make", inside, depth)
    _clock(monkeypatch, observations.Observations, "_trusted", inside, depth)  # opened, and compared with its twin
    _clock(monkeypatch, observations, "ask_in_blocks", inside, depth)
    results = benchmark.pedantic(api.run, (SUITE,), {"store": str(tmp_path / "cold")}, rounds=1)
    total = benchmark.stats.stats.total
    share = 1 - sum(inside) / total
    benchmark.extra_info["overhead share"] = round(share, 3)
    benchmark.extra_info["cells"] = len(results.cells)
    assert results.run.reused == 0
    assert share < 0.1

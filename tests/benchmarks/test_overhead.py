"""What the harness itself costs in a cold run of the digits suite: statistics, store, planning."""

import time
from pathlib import Path

from bench import api
from bench.engine import observations
from bench.engine.networks import Networks

SUITE = Path(__file__).parents[2] / "suites" / "digits.toml"


def _clock(patch, owner, name, spent):
    """Add up the time inside a method, not counting itself within itself."""
    original = getattr(owner, name)
    depth = [0]

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
    inside = []
    _clock(monkeypatch, Networks, "_make", inside)
    _clock(monkeypatch, observations, "ask_in_blocks", inside)
    results = benchmark.pedantic(api.run, (SUITE,), {"store": str(tmp_path / "cold")}, rounds=1)
    total = benchmark.stats.stats.total
    share = 1 - sum(inside) / total
    benchmark.extra_info["overhead share"] = round(share, 3)
    benchmark.extra_info["cells"] = len(results.cells)
    assert results.run.reused == 0
    assert share < 0.10

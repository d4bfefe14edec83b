"""How fast the command line answers, as ratios to an empty Python process and to a cold run."""

import subprocess
import sys
import time


def seconds(*arguments):
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def test_help(benchmark):
    empty = sorted(seconds("-c", "pass") for _ in range(7))[3]
    benchmark.pedantic(seconds, ("-m", "bench", "--help"), rounds=7, warmup_rounds=1)
    ratio = benchmark.stats.stats.median / empty
    benchmark.extra_info["ratio to python -c pass"] = round(ratio, 1)
    assert ratio < 15


def test_repeated_run(benchmark, measured):
    cold = measured.results()["cells"]
    benchmark.pedantic(seconds, ("-m", "bench", "run", "tiny.toml", "--quiet"), rounds=5, warmup_rounds=1)
    benchmark.extra_info["cells reused"] = len(cold)
    benchmark.extra_info["ratio to measuring"] = round(
        benchmark.stats.stats.median / sum(cell["seconds"] for cell in cold), 3
    )
    assert measured.results()["run"]["reused"] == len(cold)

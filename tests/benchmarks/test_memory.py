"""Memory and time of ``crbench diff`` on 50,000 images of 28 x 28, beside the data and bare forward passes.

The pair is a convolutional network of 26 kB and the same with noise; every figure is of a process of its own.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

IMAGES = 50_000
SCRIPT = Path(__file__).with_name("pair_process.py")


def measure(folder, *words):
    """Peak in bytes and CPU seconds of one process."""
    done = subprocess.run([sys.executable, SCRIPT, folder, *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A folder with the pair and its images; their bytes, and the CPU seconds of one forward pass of both."""
    folder = tmp_path_factory.mktemp("pair")
    measure(folder, "write", str(IMAGES))
    plain = measure(folder, "forward")
    return folder, (folder / "x.npz").stat().st_size, plain


KINDS = {
    "default metrics": ((), 6.4, None),  # under 1 GB
    "default metrics, few resamples": (("--draws", "50"), 6.4, 12),
    "attribution maps, few resamples": (("--draws", "50", "attribution.ig[steps=2]"), 9, None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_diff_of_many_images(benchmark, pair, kind):
    folder, size, plain = pair
    words, most_memory, most_time = KINDS[kind]
    found = {}
    benchmark.pedantic(lambda: found.update(measure(folder, "diff", *words)), rounds=1)
    memory, passes = found["peak"] / size, found["cpu"] / plain["forward"]
    benchmark.extra_info["peak memory to the data's size"] = round(memory, 2)
    benchmark.extra_info["the same of bare forward passes"] = round(plain["peak"] / size, 2)
    benchmark.extra_info["CPU time to one forward pass of both"] = round(passes, 1)
    assert memory < most_memory
    assert most_time is None or passes < most_time

"""The number of threads changes no number: whole runs in processes of their own, compared to the last bit."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import TINY

MORE = """
[[metric]]
use = "uncertainty.calibration"

[[metric]]
use = "lipschitz.local"
samples = 20

[[metric]]
use = "attribution.ig"
samples = 20
"""


def figures(folder, threads):
    """Every value of a run with this many threads for all libraries; timings and memory left out."""
    folder.mkdir()
    assert "retrained = 4" in TINY
    (folder / "tiny.toml").write_text((TINY + MORE).replace("retrained = 4", "retrained = 1"))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, "-m", "bench", "run", "tiny.toml", "--quiet"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=300)
    results = json.loads((folder / "reports" / "tiny" / "results.json").read_text())
    cells = {f"{c['variant']}/{c['target']}/{c['metric']}": c["values"] for c in results["cells"]}
    return cells, [variant["families"] for variant in results["variants"]]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core")
def test_one_and_two_threads_give_the_same_bits(tmp_path):
    one, two = figures(tmp_path / "one", 1), figures(tmp_path / "two", 2)
    assert len(one[0]) == 3 * 6
    assert json.dumps(one) == json.dumps(two)

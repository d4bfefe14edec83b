"""Under ``--json`` nothing but JSON stands on standard output, whoever prints what and how."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

LOUD = """
import ctypes
import os
import subprocess
import sys

import torch

OUT = sys.stdout  # kept from before anything is redirected

def noise(where):
    print(f"printed {where}")
    OUT.write(f"held {where}\\n")  # stays in its buffer
    os.write(1, f"written {where}\\n".encode())
    libc = ctypes.CDLL(None)
    libc.printf(f"from C {where}\\n".encode())  # stays in C's buffer where standard output is no terminal
    subprocess.run(["echo", f"by a child {where}"])

noise("on import")

class Loud(torch.nn.Module):
    def __init__(self, seed):
        super().__init__()
        self.linear = torch.nn.Linear(16, 3)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(3, 16, generator=generator))

    heard = 0

    def forward(self, x):
        if Loud.heard < 5:  # a process each: latencies call a network hundreds of times
            Loud.heard += 1
            noise("while measuring")
        return self.linear(x.flatten(1))

def first():
    return Loud(0)

def second():
    return Loud(1)
"""
SUITE = """
[data]
loader = "npz"
path = "x.npz"
evaluation = 40
calibration = 0

[reference]
factory = "loud:first"

[[variant]]
name = "second"
factory = "loud:second"

[[metric]]
use = "fidelity.accuracy"
gate = [{ value = "accuracy", max_harm = 1.0 }]
"""
WAYS = ("printed", "held", "written", "from C", "by a child")


@pytest.fixture
def loud(tmp_path):
    """A folder whose networks print in every way; ``run`` is the command line in a process of its own."""
    (tmp_path / "loud.py").write_text(LOUD)
    (tmp_path / "suite.toml").write_text(SUITE)
    random = np.random.default_rng(0)
    x = random.random((60, 1, 4, 4), dtype=np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(60) % 3)

    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

    def run(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            cwd=tmp_path, capture_output=True, text=True, env={**buffered, "OMP_NUM_THREADS": "1"}, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("diff", "loud:first", "loud:second", "--data", "x.npz", "--json"),
        ("why-diverged", "loud:first", "loud:second", "--data", "x.npz", "--json"),
        ("run", "suite.toml", "--json"),
    ],
)
def test_what_networks_print_goes_to_standard_error(loud, arguments):
    done = loud(*arguments)
    assert isinstance(json.loads(done.stdout), dict)
    for way in WAYS:
        assert f"{way} on import" in done.stderr
        assert f"{way} while measuring" in done.stderr


def test_judgements_stand_alone_too(loud):
    loud("run", "suite.toml", "--json", "--out", "after")
    for arguments in (("gate", "after"), ("compare", "after", "after")):
        assert json.loads(loud(*arguments, "--json").stdout)["exit_code"] == 0


def test_a_mistake_leaves_standard_output_empty(loud):
    done = loud("diff", "loud:first", "loud:third", "--data", "x.npz", "--json", code=2)
    assert done.stdout == ""
    assert "has no 'third'" in done.stderr


def test_without_json_nothing_is_redirected(loud):
    assert "printed while measuring" in loud("diff", "loud:first", "loud:second", "--data", "x.npz").stdout

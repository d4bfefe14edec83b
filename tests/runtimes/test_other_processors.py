"""ONNX Runtime's own kernels on processors that are not there: emulated ones answer as the kept expectations say.

Without AVX2 sums are exact, with AVX2 and without VNNI they saturate. An emulator of VNNI there is none; the exact
sums are its values.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from bench.runtimes.integer_sums import native_sums

SCRIPT = Path(__file__).with_name("kept_answers.py")
KEPT = Path(__file__).parents[1] / "integer_sums" / "expectations.npz"
EMULATOR = shutil.which("qemu-x86_64")
KINDS = {"exact", "saturating"}


def answers(kind, *before):
    """What the script says on the processor that ``before`` emulates, in a process without the project and torch."""
    places = dict.fromkeys(str(Path(package.__file__).parents[1]) for package in (np, onnxruntime))
    # a virtual environment's launcher finds its packages by its own path, which an emulator may hide
    command = [*before, str(Path(sys.executable).resolve()), "-B", str(SCRIPT), str(KEPT), kind]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if "unable to find CPU model" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def needs_emulator(version=(0, 0)):
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the processor is no x86-64: its own wheels do not run on an emulated one")
    if EMULATOR is None:
        pytest.skip("qemu-x86_64 is not installed (Debian: qemu-user)")
    told = subprocess.run([EMULATOR, "--version"], capture_output=True, text=True, check=True).stdout
    found = tuple(int(number) for number in re.search(r"version (\d+)\.(\d+)", told).groups())
    if found < version:
        pytest.skip(f"qemu-x86_64 {found[0]}.{found[1]} does not emulate AVX2")


def test_here_a_session_answers_as_this_machine_was_told_to():
    """And the other kind's answers are not its: of two depthwise cases alone both kinds are the same."""
    own = native_sums()
    assert answers(own) == {"cases": 29, "telling": 27, "wrong": []}
    (other,) = KINDS - {own}
    found = answers(other)
    assert len(found["wrong"]) == found["telling"] == 27
    assert all(name.endswith("(model)") for name in found["wrong"])  # never the file with exact sums


def test_a_processor_with_avx2_and_without_vnni_saturates():
    """But for files rewritten with uint8 weights, whose sums are exact there too."""
    needs_emulator((7, 2))
    assert answers("saturating", EMULATOR, "-cpu", "Haswell-noTSX") == {"cases": 29, "telling": 27, "wrong": []}


def test_a_processor_without_avx_has_exact_sums():
    needs_emulator()
    assert answers("exact", EMULATOR, "-cpu", "Nehalem") == {"cases": 29, "telling": 27, "wrong": []}

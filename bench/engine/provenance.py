"""Provenance of a run: commit, packages, machine, threads, seeds, command."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from bench.errors import legible
from bench.integer_sums.pairs import Sums
from bench.results import GitState, MachineInfo, Provenance
from bench.runtimes.base import Target
from bench.runtimes.processor import flags
from bench.suite.plan import Machine
from bench.suite.planned_networks import package_version

THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
QUANTISED_FEATURES = ("avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
PACKAGES = (
    "torch", "onnx", "onnxruntime", "onnxscript", "brevitas", "torch-pruning", "captum", "foolbox",
    "numpy", "scipy", "scikit-learn", "safetensors",
)  # fmt: skip


@cache
def _cpu() -> tuple[str, tuple[str, ...]]:
    """The processor's name and those of its features that change what quantised kernels compute."""
    info = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    if info.exists():
        for line in info.read_text().splitlines():
            name, _, text = line.partition(":")
            fields.setdefault(name.strip(), text.strip())
    model = fields.get("model name") or platform.processor() or platform.machine()
    return model, tuple(sorted(flags().intersection(QUANTISED_FEATURES)))


def machine(targets: Iterable[Target] = ()) -> Machine:
    """The properties of this machine that enter keys; with native sums, how the targets' providers do them."""
    model, features = _cpu()
    parts = "\x1f".join((model, platform.machine(), platform.system(), str(os.cpu_count()), *features))
    sums = _native_sums(target for target in targets if target.integer_sums == "native")
    return Machine((platform.machine(), *features), hashlib.sha256(parts.encode()).hexdigest()[:16], sums)


def _native_sums(targets: Iterable[Target]) -> dict[str, Sums | None]:
    """The kinds of 8-bit sums of providers on this machine; asking them loads the runtime."""
    sums: dict[str, Sums | None] = {}
    for target in targets:
        if target.runtime in ("onnxruntime", "function"):
            from bench.runtimes.integer_sums import native_sums

            sums[target.provider] = native_sums(target.provider)
    return sums


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def provenance(*, seed: int, device: str, started: datetime, targets: Sequence[Target] = ()) -> Provenance:
    """The manifest of a run; the commit is that of the folder the run was started in."""
    here = machine(targets)
    # a run that measured nothing does not load the runtime to name what it did not use
    sums = _native_sums(targets) if "onnxruntime" in sys.modules else here.native_sums
    model, features = _cpu()
    status = _git("status", "--porcelain")
    return Provenance(
        crbench=package_version("compression-robustness-bench"),
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        argv=[legible(text) for text in (Path(sys.argv[0]).name, *sys.argv[1:])],
        git=GitState(commit=_git("rev-parse", "HEAD"), dirty=None if status is None else bool(status)),
        python=platform.python_version(),
        packages={name: package_version(name) for name in PACKAGES},
        machine=MachineInfo(
            system=f"{platform.system()} {platform.machine()}",
            cpu=model,
            cores=os.cpu_count(),
            cpu_features=list(features),
            integer_sums=dict(sums),
            fingerprint=here.fingerprint,
        ),
        threads={name: legible(os.environ[name]) for name in THREAD_SETTINGS if name in os.environ},
        device=legible(device),
        seed=seed,
    )

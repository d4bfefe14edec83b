"""Checkpoints that torch.save wrote, once into safetensors, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from bench.errors import UserError
from bench.networks.given_files import existing_file

WORKER: Final = Path(__file__).with_name("convert_worker.py")
TIMEOUT: Final = 900.0  # seconds
ADVICE: Final = "save module.state_dict() with torch.save, nothing else"


class Converted(NamedTuple):
    """The file that was written, and what it holds."""

    path: Path
    tensors: int
    parameters: int
    unwrapped: str  # what the weights were taken out of, empty for a bare state dict


def convert(checkpoint: Path, out: Path | None = None, *, force: bool = False, key: str = "") -> Converted:
    """Read a checkpoint with ``torch.load(weights_only=True)`` and write its weights as safetensors.

    The reading is done by another process under limits of memory, time and file size; the file appears whole or not
    at all. Weights may lie under ``state_dict``, ``model_state_dict`` or ``model``, and all names may begin with
    ``module.`` or ``_orig_mod.``, which is taken off.

    Args:
        checkpoint: a file of torch.save.
        out: where to write; by default beside the checkpoint, with the suffix ``.safetensors``.
        force: write over a file that is there.
        key: where the weights lie, for a checkpoint that holds several, such as an average beside the last.

    Raises:
        UserError: no such file, a file already there, or anything in it that is no named tensor.
    """
    checkpoint = existing_file(Path(checkpoint), "CHECKPOINT")
    target = Path(out) if out is not None else checkpoint.with_suffix(".safetensors")
    if target.suffix.lower() != ".safetensors":
        raise UserError.at("--out", f"{str(target)!r} does not end in .safetensors", "name it so")
    if target.is_dir() or (target.exists() and target.samefile(checkpoint)):
        raise UserError.at("--out", f"{str(target)!r} cannot be written over", "give another file")
    if target.exists() and not force:
        raise UserError.at("--out", f"{str(target)!r} is there already", "give --force to write over it")
    if not target.parent.is_dir():
        raise UserError.at("--out", f"no folder {str(target.parent)!r}", "make it first")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".convert-") as folder:
        written = Path(folder) / "weights.safetensors"
        report = _run(checkpoint, written, key)
        if "error" in report:
            raise UserError.at("CHECKPOINT", f"{str(checkpoint)!r}: {report['error']}", ADVICE)
        _put(written, target, force=force)
    return Converted(target, int(report["tensors"]), int(report["parameters"]), str(report["unwrapped"]))


def _put(written: Path, target: Path, *, force: bool) -> None:
    """Move the file into place; without ``force`` it never replaces one that came meanwhile."""
    if force:
        written.replace(target)
        return
    try:
        os.link(written, target)
    except FileExistsError:
        raise UserError.at("--out", f"{str(target)!r} is there already", "give --force to write over it") from None
    except OSError:  # a file system without hard links
        written.replace(target)


def _run(checkpoint: Path, written: Path, key: str = "") -> dict[str, str | int]:
    """The answer of the worker, or how it ended."""
    # -P: the worker's own folder must not shadow modules that torch imports
    command = [sys.executable, "-P", str(WORKER), str(checkpoint.resolve()), str(written.resolve()), key]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return {"error": f"not read within {TIMEOUT:.0f} s"}
    try:
        report = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"error": f"the reading process ended with code {done.returncode}: {last[:200]}"}
    return report if isinstance(report, dict) else {"error": "the reading process gave no report"}

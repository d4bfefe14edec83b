"""Peak memory of an ONNX file on its target, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bench.runtimes.onnx_predictor import OnnxPredictor

SECONDS = 300


def peak_memory(predictor: OnnxPredictor, image: NDArray[Any]) -> float:
    """Bytes that opening the file and running one preprocessed image (1, ...) adds to the peak of its process.

    The peak of a fresh process that does so, less that of one that only loads the runtime. Weights, the runtime's
    copies of them and its scratch memory are in it, the runtime itself is not. It repeats to some 100 kB.

    Raises:
        RuntimeError: such a process failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"network.{predictor.spec.target.format}").write_bytes(predictor.file)  # the ending tells the format
        np.save(folder / "image.npy", np.ascontiguousarray(image, dtype=predictor.dtype))
        (folder / "target.json").write_text(json.dumps(asdict(predictor.spec.target)))
        return float(max(_process("run", name) - _loaded(), 0))


@cache
def _loaded() -> int:
    """The peak of a process that only loads the runtime, measured once."""
    return _process("load")


def _process(*arguments: str) -> int:
    """The peak of one process, in bytes."""
    folders = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise RuntimeError(f"the process that measures memory failed: {last}")
    return int(done.stdout)


def own_peak() -> int:
    """The largest resident size of this process since it began its program, in bytes.

    ``ru_maxrss`` will not do on Linux: it also counts the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = (line.split() for line in status.read_text().splitlines())
        return next(1024 * int(words[1]) for words in lines if words and words[0] == "VmHWM:")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(what: str, name: str = "") -> None:
    """Load the runtime, for ``run`` also open and run the network of a folder; print the peak."""
    import onnxruntime  # noqa: F401 - loading it is the point

    from bench.runtimes.base import Target
    from bench.runtimes.onnx_session import session_options, start_session

    if what == "run":
        folder = Path(name)
        target = Target(**json.loads((folder / "target.json").read_text()))
        image = np.load(folder / "image.npy", allow_pickle=False)
        session = start_session(
            str(folder / f"network.{target.format}"), target, session_options(target, target.threads)
        )
        session.run(None, {session.get_inputs()[0].name: image})
    sys.stdout.write(str(own_peak()))


if __name__ == "__main__":
    main(*sys.argv[1:])

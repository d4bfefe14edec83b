"""pytest in a process of its own, begun from one that has imported the heavy libraries already and nothing of ours."""

import multiprocessing
import os
import sys
from pathlib import Path

LIBRARIES = ["torch", "onnxruntime", "onnx", "scipy.stats"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(LIBRARIES)


def _inside(folder, environment, arguments, output):
    """What the process does: pytest in a folder, as ``python -m pytest`` there."""
    import pytest

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{output}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.path.insert(0, "")
    sys.argv = ["pytest", *arguments]
    sys.exit(int(pytest.main(arguments)))


def run_pytest(folder, environment, arguments):
    """Its exit code, standard output and standard error."""
    output = folder / ".output"
    process = CONTEXT.Process(target=_inside, args=(str(folder), environment, arguments, str(output)))
    process.start()
    process.join()
    texts = [Path(f"{output}.{name}") for name in ("out", "err")]
    shown = [text.read_text() for text in texts]
    for text in texts:
        text.unlink()
    return process.exitcode, *shown

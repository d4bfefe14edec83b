"""What all tests share: one thread, no setting of the user's, and a suite that runs in a second or two."""

import gc
import json
import os
import shutil
import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from bench.cli import run_cli

os.environ.setdefault("OMP_NUM_THREADS", "1")
if threading.current_thread() is threading.main_thread():
    # a shell script's background, or nohup, ignores these signals, and so would every process that a test starts
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)

from tests.zoo import degenerate, digits, linear, networks, predictors, rows, samples, zoo  # noqa: F401

TINY = """
name = "tiny"

[data]
loader = "digits"
evaluation = 150
calibration = 64

[reference]
model = "mlp"
hidden = [24]
recipe = { epochs = 4 }

[yardstick]
retrained = 4

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "noise"
steps = [{ use = "weight-noise", sigma = 0.3 }]

[[variant]]
name = "int8"
steps = [{ use = "onnx-export" }, { use = "ort-static-quant" }]

[[metric]]
use = "fidelity.predictions"

[[metric]]
use = "fidelity.accuracy"
gate = [{ value = "accuracy", max_harm = 0.5 }]

[[metric]]
use = "adversarial.pgd"
samples = 20
epsilon = 0.05
steps = 3
"""


def _handle(folder):
    """``write`` replaces a piece of the suite, ``run`` runs the command line, ``results`` reads what it wrote."""

    def write(old="", new="", text=TINY):
        assert old in text
        (folder / "tiny.toml").write_text(text.replace(old, new))

    def results():
        return json.loads((folder / "reports" / "tiny" / "results.json").read_text())

    write()
    return SimpleNamespace(
        folder=folder, write=write, results=results, text=TINY, run=lambda *arguments: run_cli(list(arguments))
    )


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The tiny suite in a folder of its own, nothing measured yet."""
    monkeypatch.chdir(tmp_path)
    return _handle(tmp_path)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """A folder in which the tiny suite was run once."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert _handle(folder).run("run", "tiny.toml", "--quiet") == 0
    return folder


@pytest.fixture
def measured(first_run, tmp_path, monkeypatch):
    """The tiny suite after its first run, in a copy of its own."""
    shutil.copytree(first_run, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return _handle(tmp_path)


@pytest.fixture(scope="session")
def at_least():
    """Whether a true coverage of ``wanted`` is still possible (99 %, one-sided) after so many hits."""
    from bench.stats.proportions import clopper_pearson

    return lambda hits, trials, wanted: clopper_pearson(hits, trials, level=0.98).high >= wanted


_INSTALLED: dict[str, object] = {}  # modules that no test wrote: to ask some thousands after each test takes a minute


@pytest.fixture(autouse=True)
def _no_modules_of_other_tests(tmp_path_factory):
    """A module that a test wrote is forgotten with it: another test may give its own the same name."""
    yield
    base = str(tmp_path_factory.getbasetemp())
    new = [(name, module) for name, module in sys.modules.items() if _INSTALLED.get(name) is not module]
    for name, module in new:
        if (getattr(module, "__file__", None) or "").startswith(base):
            del sys.modules[name]
        else:
            _INSTALLED[name] = module


def pytest_collection_finish():
    """What imports and collection made stays: to look through it for garbage again and again takes time for nothing."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in [name for name in os.environ if name.startswith("CRBENCH_")]:
        monkeypatch.delenv(name)

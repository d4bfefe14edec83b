"""Code from outside that ends the program is an error of that code; a real interrupt is none."""

import os
import signal
import threading

import numpy as np
import pytest

from bench.interrupts import CodeEnded, Interrupted, contained, watched

ENDINGS = ("SystemExit(0)", "SystemExit(1)", "KeyboardInterrupt()", "GeneratorExit()", "Own('bye')")
NETWORK = """
import torch
from bench.metrics.base import Metric
from bench.compression.base import Step, steps
from bench.data.base import Loader, loaders
from bench.registry import parameters
from bench.metrics.base import metrics

class Own(BaseException):
    pass

if PLACE == "import":
    raise ENDING

def make():
    if PLACE == "factory":
        raise ENDING
    return Net()

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
    def forward(self, x):
        if PLACE == "forward":
            raise ENDING
        if PLACE == "later" and len(x) > 64:
            raise ENDING
        return self.layer(x.flatten(1))

@parameters
class Ends(Step):
    def apply(self, network, context):
        raise ENDING

@parameters
class Data(Loader):
    def load(self, evaluation, calibration):
        raise ENDING
"""


def module(folder, place, ending):
    name = f"ends_{abs(hash((str(folder), place, ending)))}"
    (folder / f"{name}.py").write_text(NETWORK.replace("PLACE", repr(place)).replace("ENDING", ending))
    return name


def variant(tiny, text):
    given = f'[[variant]]\nname = "mine"\n{text}\n\n[[metric]]\nuse = "fidelity.predictions"'
    tiny.write('[[metric]]\nuse = "fidelity.predictions"', given)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("place", ["import", "factory", "forward"])
def test_a_network_that_ends_the_program_is_a_mistake_of_its_module(tiny, capsys, place, ending):
    variant(tiny, f'factory = "{module(tiny.folder, place, ending)}:make"')
    code = tiny.run("run", "tiny.toml", "--gate", "--quiet", "--only", "mine")
    said = capsys.readouterr().err.strip().splitlines()
    assert code in (2, 3)
    assert len(said) == 1
    assert f"it raised {ending.partition('(')[0]}" in said[0]
    assert "interrupted" not in said[0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_the_program_while_it_is_measured_is_an_error_of_the_cell(measured, capsys, ending):
    variant(measured, f'factory = "{module(measured.folder, "later", ending)}:make"')
    assert measured.run("run", "tiny.toml", "--gate", "--quiet", "--only", "*/torch/fidelity.*") == 3
    cells = {cell["variant"]: cell for cell in measured.results()["cells"]}
    assert cells["mine"]["status"] == "error"
    assert f"it raised {ending.partition('(')[0]}" in cells["mine"]["reason"]
    assert cells["noise"]["status"] == "ok"
    capsys.readouterr()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_step_that_ends_the_program_is_an_error_of_its_cells(measured, capsys, ending):
    variant(measured, f'steps = [{{ use = "{module(measured.folder, "none", ending)}:Ends" }}]')
    assert measured.run("run", "tiny.toml", "--gate", "--quiet", "--only", "mine/torch/fidelity.*") == 3
    assert {cell["status"] for cell in measured.results()["cells"]} == {"error"}
    assert f"it raised {ending.partition('(')[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_loader_that_ends_the_program_is_one_line(tiny, capsys, ending):
    tiny.write('loader = "digits"', f'loader = "{module(tiny.folder, "none", ending)}:Data"')
    assert tiny.run("run", "tiny.toml", "--gate", "--quiet") == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("crbench: data.loader: ")
    assert f"it raised {ending.partition('(')[0]}" in said[0]


@pytest.mark.parametrize("ending", ["SystemExit(1)", "KeyboardInterrupt()", "ValueError('x')"])
@pytest.mark.parametrize("place", ["import", "factory", "forward"])
@pytest.mark.parametrize("command", ["diff", "why-diverged"])
def test_a_pair_that_ends_the_program_is_a_mistake_of_its_module(tiny, capsys, command, place, ending):
    name = f"{module(tiny.folder, place, ending)}:make"
    np.savez(tiny.folder / "data.npz", x=np.zeros((4, 64), np.float32))
    assert tiny.run(command, name, name, "--data", "data.npz") == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert ending.partition("(")[0] in said[0]
    assert "internal error" not in said[0]


def test_a_real_interrupt_passes_through():
    with pytest.raises(Interrupted, match="SIGINT"), contained():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_of_the_code_itself_is_none():
    with pytest.raises(CodeEnded, match="KeyboardInterrupt"), contained():
        raise KeyboardInterrupt
    caught = []

    def run():
        try:
            with contained():
                raise SystemExit(1)
        except CodeEnded as error:
            caught.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert caught == ["it raised SystemExit(1), which ends a program"]


def test_where_interrupts_are_ignored_none_is_real():
    """As in the background of a shell script: what code raises there is its own, and the signal stays ignored."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(CodeEnded, match="KeyboardInterrupt"), contained():
            raise KeyboardInterrupt
        with contained():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)


def test_somebody_elses_handler_stays():
    def own(number, frame):
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGINT, own)
    try:
        with watched(signal.SIGINT):
            assert signal.getsignal(signal.SIGINT) is own
        with pytest.raises(KeyboardInterrupt), contained():
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, former)


def test_an_interrupt_that_code_catches_still_ends_the_run(tiny, capsys):
    (tiny.folder / "deaf_of_test_interrupts.py").write_text(
        "import os, signal\ndef make():\n    try:\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    except BaseException:\n        pass\n    raise ValueError('on')\n"
    )
    variant(tiny, 'factory = "deaf_of_test_interrupts:make"')
    assert tiny.run("run", "tiny.toml", "--gate", "--quiet", "--only", "mine") == 3
    assert "interrupted" in capsys.readouterr().err

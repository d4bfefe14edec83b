"""A wrong declaration of the reference's input is warned about, a right one is not."""

import json

import pytest
from safetensors.torch import save_file

from bench.engine.declared import at_chance

SUITE = """
[data]
loader = "digits"
evaluation = 150
calibration = 8

[reference]
factory = "chance_nets:build"
checkpoint = "net.safetensors"
input = { INPUT }

[[variant]]
name = "noise"
steps = [{ use = "weight-noise", sigma = 0.1 }]

[[metric]]
use = "METRIC"
"""


@pytest.fixture(scope="module")
def weights(zoo):
    """A linear classifier of digits that takes pixels 0..16 minus 8, in NHWC, and answers from 9 down to 0."""
    weight = zoo("linear", 1).module[1]  # on constant images it answers one class, whichever
    bias = weight.bias + weight.weight.sum(1) / 2
    return {"weight": weight.weight.flip(0).contiguous() / 16, "bias": bias.flip(0).contiguous()}


@pytest.fixture
def run(tmp_path, monkeypatch, weights):
    from bench.cli import run_cli

    (tmp_path / "chance_nets.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def forward(self, x): return super().forward(x.reshape(len(x), 64))\n"
        "def build(): return Net(64, 10)\n"
    )
    save_file({name: value.detach() for name, value in weights.items()}, tmp_path / "net.safetensors")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def measure(given, metric="fidelity.predictions", expected=0, more=()):
        (tmp_path / "s.toml").write_text(SUITE.replace("INPUT", given).replace("METRIC", metric))
        assert run_cli(["run", "s.toml", *more]) == expected
        results = json.loads((tmp_path / "reports" / "s" / "results.json").read_text())
        return results, (tmp_path / "reports" / "s" / "index.html").read_text()

    return measure


RIGHT = 'scale = 16, mean = [8], layout = "NHWC", classes = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]'


def test_a_right_declaration_is_silent(run, capsys):
    results, page = run(RIGHT, "fidelity.accuracy")
    assert results["run"]["warnings"] == []
    assert results["cells"][0]["values"]["accuracy"]["reference"] > 0.8
    assert "Warnings" not in page + capsys.readouterr().out


def test_a_wrong_one_is_warned_about_everywhere(run, capsys):
    results, page = run(RIGHT.replace("scale = 16, mean = [8]", "mean = [100]"))
    (line,) = results["run"]["warnings"]
    assert line.startswith("the reference is right on ")
    assert "of 150 samples on target 'torch', no better than chance (10." in line
    assert "check its input: mean, std, scale, layout" in line
    shown = " ".join(capsys.readouterr().out.split())
    assert "Warnings" in shown
    assert "no better than chance" in shown
    assert "no better than chance" in page
    again, _ = run(RIGHT.replace("scale = 16, mean = [8]", "mean = [100]"))  # from the store
    assert again["run"]["warnings"] == [line]
    assert all(cell["cached"] for cell in again["cells"])


def test_order_of_classes(run):
    results, _ = run('scale = 16, mean = [8], layout = "NHWC"')
    assert len(results["run"]["warnings"]) == 1


def test_chance_is_a_binomial_test():
    assert at_chance(45, 360, 10, 36)  # p = 0.07
    assert not at_chance(48, 360, 10, 36)
    assert at_chance(300, 360, 2, 310)  # always the larger class
    assert not at_chance(18, 20, 1000, 2)

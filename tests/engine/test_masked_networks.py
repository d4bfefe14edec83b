"""A network whose gradients are masked passes no robustness gate: it is read right, or it decides nothing."""

import json

import pytest

from bench.cli import run_cli

NETWORKS = """
import numpy as np
import torch
from torch import nn
from bench.data.digits import Digits

def linear():
    data = Digits().load(150, 16).train
    x = data.x.reshape(-1, 64)
    ones = np.hstack([x, np.ones((len(x), 1))])
    weight = np.linalg.lstsq(ones, np.eye(10)[data.y] * 10, rcond=1e-3)[0].astype(np.float32)
    head = nn.Linear(64, 10)
    head.weight.data, head.bias.data = torch.from_numpy(weight[:-1].T.copy()), torch.from_numpy(weight[-1].copy())
    return nn.Sequential(nn.Flatten(), head)

class Masked(nn.Module):
    def __init__(self, before=lambda x: x, after=lambda z: z):
        super().__init__()
        self.network, self.before, self.after = linear(), before, after
    def forward(self, x): return self.after(self.network(self.before(x)))

def saturated(): return Masked(after=lambda z: torch.softmax(300 * z, 1))
def rounding(): return Masked(before=lambda x: torch.round(x * 255) / 255)
def deciding(): return Masked(before=lambda x: (x > 0.5).float())
"""

SUITE = """
[data]
loader = "digits"
evaluation = 150
calibration = 16
[reference]
factory = "masked_nets:linear"
{extra}
[[variant]]
name = "saturated"
factory = "masked_nets:saturated"
[[variant]]
name = "rounding"
factory = "masked_nets:rounding"
{last}
[[metric]]
use = "adversarial.pgd"
epsilon = 0.1
steps = 5
gate = [{{ value = "robust_error", max_harm = 0.05 }}]
[[metric]]
use = "lipschitz.local"
samples = 64
"""
DECIDING = '[[variant]]\nname = "deciding"\nfactory = "masked_nets:deciding"'


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "masked_nets.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(last="", extra=""):
        text = SUITE.format(last=last, extra="")
        (tmp_path / "masked.toml").write_text(f"{extra}\n{text}")
        code = run_cli(["run", "masked.toml", "--gate", "-q", "--out", "out", "--store", "store"])
        return code, json.loads((tmp_path / "out" / "results.json").read_text())["cells"]

    return run


def test_a_softmax_and_eight_bit_pixels_gain_nothing(run):
    code, cells = run()
    assert code in (0, 3), "no gate may fail: both are the reference's own function"
    for cell in cells:
        value = cell["values"].get("robust_error") or cell["values"]["log_jacobian_norm"]
        scale = 0.0 if "robust_error" in cell["values"] or cell["variant"] == "rounding" else 5.7037825  # log 300
        assert value["variant"] == pytest.approx(value["reference"] + scale, abs=0.04)
    attack = {cell["variant"]: cell for cell in cells if cell["metric"] == "adversarial.pgd"}
    assert attack["rounding"]["details"]["variant"]["gradient"] == "straight_through"
    assert attack["saturated"]["details"]["variant"]["output"]["softmax"] == "removed"


def test_what_no_gradient_passes_is_skipped_and_never_green(run, capsys):
    code, cells = run(DECIDING)
    assert code == 3
    skipped = [cell for cell in cells if cell["variant"] == "deciding"]
    assert {cell["status"] for cell in skipped} == {"skipped"}
    assert all("its gradients are zero on 100.0% of 64 samples" in cell["reason"] for cell in skipped)
    assert "incomplete: deciding (torch) adversarial.pgd, gated by robust error: skipped" in capsys.readouterr().err
    accepted, _ = run(DECIDING, 'not_applicable = ["deciding"]')
    assert accepted == run()[0]

"""A suite whose reference is a network of several members, from an outside factory to the report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.intake import take_in
from bench.networks.members import Stacked
from bench.networks.network import TorchNetwork
from bench.outside_networks.held import Held
from bench.runtimes.opening import open_predictor
from bench.suite.suite import Outside
from tests.suite.documents import write
from tests.zoo import TARGETS

NETWORKS = """
import torch
from bench.data.digits import Digits
from bench.models.base import Recipe
from bench.models.mlp import Mlp
from bench.models.training import initialise, train
from bench.networks.members import Stacked

def ensemble(seed=0):
    data = Digits().load(150, 64)
    model = Mlp(hidden=(24,))
    made = [initialise(model, data.input, seed + k) for k in range(3)]
    trained = [train(m, data.train, data.input, Recipe(epochs=3), seed + k) for k, m in enumerate(made)]
    return Stacked(trained)

def other():
    return ensemble(10)
"""
SUITE = """
[data]
loader = "digits"
evaluation = 150
calibration = 64

[reference]
factory = "member_nets:ensemble"
input = { members = 3 }

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "other"
factory = "member_nets:other"
input = { members = 3 }
targets = ["torch"]

[[variant]]
name = "ptq3"
steps = [{ use = "ptq", bits = 3 }]
targets = ["torch"]

[[variant]]
name = "int8"
steps = [{ use = "onnx-export" }, { use = "ort-static-quant" }]

[[metric]]
use = "fidelity.predictions"

[[metric]]
use = "fidelity.accuracy"

[[metric]]
use = "uncertainty.members"

[[metric]]
use = "uncertainty.calibration"

[[metric]]
use = "attribution.ig"
samples = 10

[[metric]]
use = "adversarial.robust_error"
samples = 20
epsilon = 0.1
attacks = ["apgd-ce[steps=5]", "square[queries=20]"]

[[metric]]
use = "cost"
"""


def fill(folder):
    write(folder, NETWORKS, "member_nets.py")


def value(results, variant, metric, name):
    (cell,) = (c for c in results.cells if (c.variant, c.metric) == (variant, metric))
    assert cell.status == "ok", cell.reason
    return cell.values[name]


def test_every_cell_is_measured(results) -> None:
    assert [(cell.label, cell.reason) for cell in results.cells if cell.status != "ok"] == []


def test_what_is_left_of_the_members_after_compression(results) -> None:
    before = value(results, "int8", "uncertainty.members", "mutual_information").reference
    assert before > 0.005
    assert value(results, "int8", "uncertainty.members", "mutual_information").variant == pytest.approx(before, rel=0.3)
    far, near = (value(results, name, "fidelity.predictions", "js").estimate for name in ("other", "int8"))
    assert far > 5 * near > 0


def test_costs_are_of_all_members(results) -> None:
    macs = value(results, "int8", "cost", "macs")
    assert macs.reference == 3 * (64 * 24 + 24 * 10)
    assert value(results, "int8", "cost", "file_bytes").variant > 3 * (64 * 24 + 24 * 10)
    assert np.isfinite(value(results, "ptq3", "adversarial.robust_error", "robust_error").estimate)


@pytest.mark.parametrize("kind", ["module", "onnx"])
def test_members_that_put_out_probabilities_are_read_as_such(samples, networks, digits, kind) -> None:
    """The same members with a softmax inside answer as without one, on torch and in a file."""
    pair = [networks[name] for name in ("reference", "retrained")]
    declared = replace(pair[0].input, members=2)
    bare = TorchNetwork(Stacked([network.module for network in pair]).eval(), declared)
    inside = torch.nn.Sequential(bare.module, torch.nn.Softmax(dim=-1)).eval()
    content = inside
    if kind == "onnx":
        shipped = TorchNetwork(inside, replace(declared, output="probabilities"))
        content = run_step(steps.get("onnx-export")(), shipped, StepContext(digits.train, digits.train, None, 0)).model
    network = take_in(Outside(held=Held(content, kind, "two")), declared, samples.x)
    assert network.input.output == "probabilities"
    x = torch.from_numpy(samples.x)
    found = open_predictor(network, TARGETS["torch" if kind == "module" else "onnx"]).logits(x)
    wanted = open_predictor(bare, TARGETS["torch"]).logits(x)
    torch.testing.assert_close(found.log_softmax(-1), wanted.log_softmax(-1), rtol=1e-4, atol=1e-4)

"""A suite whose reference is a network of several members, from an outside factory to the report."""

from __future__ import annotations

import numpy as np
import pytest

from bench.study import Study
from tests.suite.documents import write

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


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    write(folder, NETWORKS, "member_nets.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield Study(write(folder, SUITE), folder / "store").run()


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

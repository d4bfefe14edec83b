"""How the reference is exported for a target that no step of the suite exports it for, and whose failure it is."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from bench.engine.planning import plan_suite
from bench.registry import load_object
from bench.store.store import Store
from bench.suite.exporting import exports_of
from bench.suite.load import load_suite
from tests.suite.documents import PARTS, text, write

NET = """
import torch
from torch import nn
from torch.nn import functional as F


class Turned(nn.Module):
    # a spatial transformer: ONNX knows its grid from operator set 20 on
    def __init__(self):
        super().__init__()
        self.locate, self.features, self.head = nn.Linear(64, 6), nn.Conv2d(1, 4, 3), nn.Linear(4, 10)

    def forward(self, x):
        theta = torch.eye(2, 3)[None] + 0.05 * self.locate(x.flatten(1)).view(-1, 2, 3)
        grid = F.affine_grid(theta, (x.shape[0], 1, 8, 8), align_corners=False)
        return self.head(F.relu(self.features(F.grid_sample(x, grid, align_corners=False))).mean((2, 3)))


def make():
    torch.manual_seed(0)
    return Turned()
"""

SUITE = """
name = "turned"

[data]
loader = "digits"
evaluation = 100
calibration = 32

[reference]
factory = "turned_net:make"

[[target]]
name = "edge"
runtime = "onnxruntime"

[[metric]]
use = "fidelity.predictions"
"""

NOISY = '\n[[variant]]\nname = "{}"\nsteps = [{{ use = "weight-noise", sigma = 0.01 }}, {{ use = "onnx-export"{} }}]\n'


@pytest.fixture
def turned(tiny, monkeypatch):
    (tiny.folder / "turned_net.py").write_text(NET)
    monkeypatch.syspath_prepend(tiny.folder)
    return tiny


def cells(turned, *variants, suite=SUITE):
    turned.write(text=suite + "".join(variants))
    code = turned.run("run", "tiny.toml", "--quiet")
    found = json.loads((turned.folder / "reports/turned/results.json").read_text())["cells"]
    return code, {cell["variant"]: cell for cell in found}


def planned(turned):
    """The cells of the suite's plan."""
    return plan_suite(load_suite(turned.folder / "tiny.toml")).plan.cells


def test_the_reference_is_exported_as_all_steps_of_the_suite_export(turned):
    code, found = cells(turned, NOISY.format("noisy", ", opset = 20"))
    assert (code, found["noisy"]["status"]) == (0, "ok"), found["noisy"]["reason"]
    reference = planned(turned)[0].original
    assert reference.step.canonical()["parameters"] == {"exporter": "torchscript", "opset": 20}
    file = Store(str(turned.folder / ".crbench")).blob("networks", reference.key)
    x = np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32)
    with torch.no_grad():
        expected = load_object("turned_net:make", "")().eval()(torch.from_numpy(x)).numpy()
    found = onnxruntime.InferenceSession(file).run(None, {"input": x})[0]
    assert np.abs(found - expected).max() < 1e-5 < np.abs(expected).max()


def test_a_failure_of_the_reference_names_it_and_how_it_was_exported(turned):
    code, found = cells(turned, NOISY.format("new", ", opset = 20"), NOISY.format("old", ", opset = 19"))
    assert code == 3
    said = found["new"]["reason"]
    assert said.startswith("reference (exporter torchscript, opset 18, "), said
    assert "affine_grid_generator" in said
    assert found["old"]["reason"].startswith("step onnx-export: "), found["old"]["reason"]  # the variant's own


QUANTISED = '{ use = "ptq" }, '
DYNAMO = '{ use = "onnx-export", exporter = "dynamo", opset = 19 }'
TRACED = '{ use = "onnx-export", opset = 17 }'


@pytest.mark.parametrize(
    ("chains", "floating", "quantised"),
    [
        ([], ("torchscript", 18), ("torchscript", 18)),
        ([DYNAMO], ("dynamo", 19), ("torchscript", 19)),  # the dynamo exporter takes no quantised network
        ([QUANTISED + TRACED], ("torchscript", 17), ("torchscript", 17)),
        ([DYNAMO, QUANTISED + TRACED], ("dynamo", 19), ("torchscript", 17)),
        ([DYNAMO, TRACED], ("torchscript", 18), ("torchscript", 18)),  # they agree on nothing
    ],
)
def test_parameters_that_the_suite_agrees_on_by_kind_of_network(tmp_path, chains, floating, quantised):
    variants = [f'[[variant]]\nname = "{place}"\nsteps = [{chain}]' for place, chain in enumerate(chains)]
    plain = PARTS["variant"]
    exports = exports_of(load_suite(write(tmp_path, text(variant="\n".join([plain, *variants])))))
    found = {kind: (step.exporter, step.opset) for kind, step in exports.items()}
    assert found == {"torch": floating, "torch-quantised": quantised}

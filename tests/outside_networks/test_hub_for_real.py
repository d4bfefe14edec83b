"""Networks of the Hugging Face hub for real: laid out in its cache as a download leaves them, through whole suites."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data.digits import Digits

transformers = pytest.importorskip("transformers")

SUITE = """
name = "hub"

[data]
loader = "digits"
evaluation = 200
calibration = 64

[reference]
factory = "huggingface:nobody/{kind}"

[yardstick]
weight_noise_sigma = 0.02

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "ptq"
steps = [{{ use = "ptq", bits = 8 }}]

[[variant]]
name = "export-int8"
steps = [{{ use = "onnx-export" }}, {{ use = "ort-static-quant" }}]

[[variant]]
name = "export"
steps = [{{ use = "onnx-export" }}]

[[variant]]
name = "noise"
targets = ["torch"]
steps = [{{ use = "weight-noise", sigma = 0.02 }}]

[[metric]]
use = "fidelity.predictions"

[[metric]]
use = "fidelity.accuracy"

[[metric]]
use = "uncertainty.calibration"

[[metric]]
use = "adversarial.pgd"
epsilon = 0.05
steps = 3
samples = 50
"""


def vit():
    return transformers.ViTForImageClassification(
        transformers.ViTConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            image_size=8, patch_size=2, num_channels=1, num_labels=10, initializer_range=0.2,
        )
    )  # fmt: skip


def resnet():
    return transformers.ResNetForImageClassification(
        transformers.ResNetConfig(
            num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=10
        )
    )


@pytest.fixture(params=[vit, resnet])
def ran(request, tmp_path):
    """The network, its name, what the run printed, and its results."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = request.param().eval()
    kind = request.param.__name__
    place = tmp_path / "home" / "hub" / f"models--nobody--{kind}"
    module.save_pretrained(place / "snapshots" / ("0" * 40))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0" * 40)
    (tmp_path / "hub.toml").write_text(SUITE.format(kind=kind))
    folders = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(filter(None, folders)),
    }  # fmt: skip
    command = [sys.executable, "-m", "bench", "run", "hub.toml", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stdout + done.stderr  # ptq cannot trace it
    return module, json.loads((tmp_path / "reports" / "hub" / "results.json").read_text())


def test_figures_are_those_of_the_published_weights(ran):
    module, results = ran
    samples = Digits().load(200, 64).evaluation
    with torch.no_grad():
        log_p = torch.log_softmax(module(torch.from_numpy(samples.x)).logits.double(), dim=1).numpy()
    accuracy = (log_p.argmax(axis=1) == samples.y).mean()
    nll = -log_p[np.arange(len(samples)), samples.y].mean()
    cells = {(cell["variant"], cell["target"], cell["metric"]): cell for cell in results["cells"]}
    assert len(cells) == 20
    for (variant, target, metric), cell in cells.items():
        values = cell["values"]
        if variant == "ptq":
            assert cell["status"] == "error"
            assert "torch.fx cannot trace the network" in cell["reason"]
            assert cell["reason"].endswith("; quantise its file: onnx-export, then ort-static-quant")
            continue
        assert cell["status"] == "ok"
        if metric == "fidelity.accuracy":
            assert values["accuracy"]["reference"] == accuracy
        if metric == "uncertainty.calibration":
            assert values["nll"]["reference"] == pytest.approx(nll, rel=1e-5)
        if metric == "fidelity.predictions" and variant == "export":
            assert (values["flip_rate"]["estimate"], target) == (0, "edge")
            assert values["js"]["estimate"] < 1e-10
        if metric == "fidelity.predictions" and variant != "export":
            assert 0 < values["js"]["estimate"] < 0.01

"""Samples that are vectors, on every road; the figures are those of a computation by hand."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench import api
from bench.cli import run_cli
from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.base import Samples
from bench.engine.layer_culprits import why_diverged
from bench.errors import UserError
from bench.models.base import Recipe
from bench.networks.network import InputSpec
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

N, D, LIMIT = 300, 12, 5.0
RANDOM = np.random.default_rng(0)
X = np.clip(RANDOM.normal(size=(N, D)), -4, 4).astype(np.float32)
WEIGHT = RANDOM.normal(size=(2, D)).astype(np.float32)
OTHER = (WEIGHT + 0.3 * RANDOM.normal(size=WEIGHT.shape)).astype(np.float32)
Y = (X @ (WEIGHT[1] - WEIGHT[0]) + RANDOM.normal(size=N) > 0).astype(np.int64)
MEAN, STD = RANDOM.normal(size=D).round(2), RANDOM.uniform(0.5, 2, size=D).round(2)


def model(weight):
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", D])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.ascontiguousarray(weight.T), "w")],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


FACTORIES = """
import numpy as np, torch
from torch import nn

def net(name):
    linear = nn.Linear({d}, 2, bias=False)
    linear.weight.data = torch.from_numpy(np.load({folder!r} + "/" + name + ".npy"))
    return nn.Sequential(linear)

def reference(): return net("reference")
def variant(): return net("variant")

def deep():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear({d}, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    for name, weight in (("reference", WEIGHT), ("variant", OTHER)):
        onnx.save(model(weight), tmp_path / f"{name}.onnx")
        np.save(tmp_path / f"{name}.npy", weight)
    (tmp_path / "on_vectors.py").write_text(FACTORIES.format(d=D, folder=str(tmp_path)))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def probabilities(weight, x=X):
    z = x.astype(np.float64) @ weight.T.astype(np.float64)
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def by_hand(epsilon):
    p, q = probabilities(WEIGHT), probabilities(OTHER)
    m = (p + q) / 2
    found = {
        "flip_rate": (p.argmax(1) != q.argmax(1)).mean(),
        "js": (((p * np.log(p / m)).sum(1) + (q * np.log(q / m)).sum(1)) / 2).mean(),
        "nll": -np.log(q[np.arange(N), Y]).mean(),
        "accuracy": (q.argmax(1) == Y).mean(),
    }
    direction = (OTHER[1] - OTHER[0]).astype(np.float64)
    margin = (X @ direction) * np.where(Y == 1, 1, -1)  # a linear network falls where the budget reaches its margin
    found["robust_error"] = (margin <= epsilon * np.abs(direction).sum()).mean()
    found["norm"] = np.linalg.norm(OTHER - OTHER.mean(0), 2)
    return found


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_a_pair_by_hand(folder, kind):
    epsilon, right = 0.1, by_hand(0.1)
    names = ("reference.onnx", "variant.onnx") if kind == "onnx" else ("on_vectors:reference", "on_vectors:variant")
    metrics = [
        "fidelity.predictions", "fidelity.accuracy", "uncertainty.calibration", f"adversarial.pgd[epsilon={epsilon}]",
        "lipschitz.local", "attribution.ig"
    ]  # fmt: skip
    cells = {c.metric: c for c in api.diff(*names, "data.npz", metrics=metrics, bounds=(-LIMIT, LIMIT)).cells}
    assert {cell.status for cell in cells.values()} == {"ok"}
    predictions = cells["fidelity.predictions"].values
    np.testing.assert_allclose(predictions["flip_rate"].estimate, right["flip_rate"])
    np.testing.assert_allclose(predictions["js"].estimate, right["js"], rtol=1e-4)
    np.testing.assert_allclose(cells["uncertainty.calibration"].values["nll"].variant, right["nll"], rtol=1e-4)
    np.testing.assert_allclose(cells["fidelity.accuracy"].values["accuracy"].variant, right["accuracy"])
    np.testing.assert_allclose(cells["adversarial.pgd"].values["robust_error"].variant, right["robust_error"])
    jacobian = cells["lipschitz.local"].values
    np.testing.assert_allclose(jacobian["largest_jacobian_norm"].variant, right["norm"], rtol=1e-5)
    # integrated gradients of a linear network: (x - baseline) times the centred row of the reference's class
    classes = probabilities(WEIGHT).argmax(1)
    maps = [(X + LIMIT) * (w - w.mean(0))[classes] for w in (WEIGHT, OTHER)]
    cosine = (maps[0] * maps[1]).sum(1) / np.linalg.norm(maps[0], axis=1) / np.linalg.norm(maps[1], axis=1)
    found = cells["attribution.ig"].values["cosine_distance"].estimate
    np.testing.assert_allclose(found, (1 - cosine).mean(), rtol=1e-3)


def test_why_diverged(folder):
    found = why_diverged("reference.onnx", "variant.onnx", folder / "data.npz", (-LIMIT, LIMIT))
    np.testing.assert_allclose(found.deployed.js.estimate, by_hand(0)["js"], rtol=1e-4)
    assert found.layers[-1].restored.js.removed == pytest.approx(found.divergence.js.estimate)


def test_a_mean_and_a_std_for_each_feature(folder):
    text = f"mean={MEAN.tolist()},std={STD.tolist()}"
    results = api.diff(
        "reference.onnx", "reference.onnx", "data.npz", metrics=["fidelity.predictions"], bounds=(-LIMIT, LIMIT),
        inputs=api.Inputs(variant=text),
    )  # fmt: skip
    p, q = probabilities(WEIGHT), probabilities(WEIGHT, ((X - MEAN) / STD))
    found = results.cells[0].values["flip_rate"].estimate
    np.testing.assert_allclose(found, (p.argmax(1) != q.argmax(1)).mean())


SUITE = """
[data]
loader = "npz"
path = "data.npz"
bounds = [-5, 5]
evaluation = 100
calibration = 50
[reference]
model = "{model}"
recipe = {{ epochs = 2, augmentation = "{augmentation}" }}
[[target]]
name = "torch"
[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"
[[variant]]
name = "ptq"
steps = [{{ use = "ptq" }}]
[[variant]]
name = "static"
steps = [{{ use = "onnx-export" }}, {{ use = "ort-static-quant" }}]
[[metric]]
use = "fidelity.predictions"
[[metric]]
use = "adversarial.pgd"
epsilon = 0.1
steps = 3
"""


def suite(folder, model="mlp", augmentation="none"):
    text = SUITE.format(model=model, augmentation=augmentation)
    (folder / "suite.toml").write_text(text)
    return ["run", "suite.toml", "--out", "out", "--store", "store", "-q"]


def test_a_suite(folder):
    assert run_cli(suite(folder)) == 0
    results = json.loads((folder / "out" / "results.json").read_text())
    assert {cell["status"] for cell in results["cells"]} == {"ok"}
    assert results["suite"]["data"]["input"]["shape"] == [D]
    js = {
        (cell["variant"], cell["target"]): cell["values"]["js"]["estimate"]
        for cell in results["cells"]
        if cell["metric"] == "fidelity.predictions"
    }
    assert js["ptq", "torch"] == pytest.approx(js["ptq", "edge"], rel=0.2)
    assert 0 < js["static", "edge"] < 0.01
    assert (folder / "out" / "index.html").exists()


def test_what_needs_images_says_so(folder, capsys):
    assert run_cli(suite(folder, model="resnet8")) == 2
    said = "reference.model: 'resnet8' takes images, the data are vectors of 12 features; give model = \"mlp\""
    assert said in capsys.readouterr().err
    assert run_cli(suite(folder, augmentation="shift")) == 2
    said = "reference.recipe.augmentation: 'shift' moves pixels, the data are vectors of 12 features"
    assert said in capsys.readouterr().err
    with pytest.raises(UserError, match=r"input\.layout: layout NHWC of samples of shape \(12,\); leave it out"):
        load_outside(InputSpec(shape=(D,), classes=("0", "1"), layout="NHWC"), factory="on_vectors:reference")
    with pytest.raises(UserError, match="3 values for 12 features; give 1 or 12"):
        load_outside(InputSpec(shape=(D,), classes=("0", "1"), mean=(1, 2, 3)), factory="on_vectors:reference")
    np.savez(folder / "text.npz", x=np.zeros((3, 4, 5, 6, 7)), y=np.zeros(3, int))
    with pytest.raises(UserError, match=r"shape \(3, 4, 5, 6, 7\); give images .* or vectors \(n, features\)"):
        api.diff("reference.onnx", "variant.onnx", folder / "text.npz")


CHAINS = [
    ["bn-fold"], ["ptq"], ["ptq-mixed"], ["qat"], ["ptq", "onnx-export"], ["structured-prune"], ["finetune"],
    ["weight-noise"], ["bn-reset"], ["onnx-export", "bn-fold"], ["onnx-export", "ort-static-quant"],
    ["onnx-export", "ort-dynamic-quant"], ["onnx-export", "ort-fp16"], ["onnx-export", "ort-int4"],
]  # fmt: skip
GIVEN = {
    "ptq-mixed": {"average_bits": 7}, "qat": {"epochs": 1}, "structured-prune": {"ratio": 0.2},
    "finetune": {"epochs": 1}, "weight-noise": {"sigma": 0.001},
}  # fmt: skip


@pytest.mark.parametrize("chain", CHAINS, ids="+".join)
def test_every_step(folder, chain):
    network = load_outside(InputSpec((D,), ("0", "1"), (-LIMIT, LIMIT)), factory="on_vectors:deep")
    samples = Samples(tuple(map(str, range(N))), X, Y)
    made = network
    for step in chain:
        context = StepContext(samples, samples, Recipe(epochs=1, learning_rate=1e-3), 0)
        made = run_step(steps.get(step)(**GIVEN.get(step, {})), made, context)
    made = restore(made.record, to_bytes(made))
    target = Target(name="e", runtime="onnxruntime", integer_sums="exact")
    found = open_predictor(made, target if made.kind.startswith("onnx") else Target(name="c"))
    right = open_predictor(network, Target(name="c")).logits(torch.from_numpy(X))[0]
    assert found.logits(torch.from_numpy(X)).shape == (1, N, 2)
    if chain[-1] in ("bn-fold", "ptq", "onnx-export", "ort-static-quant", "ort-dynamic-quant", "ort-fp16"):
        error = (found.logits(torch.from_numpy(X))[0] - right).abs().median()
        assert error < 0.1 * right.std()

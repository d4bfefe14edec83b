"""Vectors with a mean and a std for each feature in a suite, and sequences (n, channels, steps): figures by hand."""

import sys
from dataclasses import replace
from itertools import product

import numpy as np
import onnx
import pytest
import torch

import bench.api
from bench.data.base import Dataset, Loader, Samples
from bench.data.splitting import load_dataset
from bench.errors import UserError
from bench.models.base import Recipe, check_recipe, models
from bench.networks.network import InputSpec

FEATURES = 5
MEAN = (0.5, 0.4, 0.3, 0.2, 0.1)
STD = (0.5, 0.25, 1.0, 2.0, 0.3)
EPSILON = 0.1
SUITE = f"""
[data]
loader = "npz"
path = "x.npz"
evaluation = 60
calibration = 20
mean = {list(MEAN)}
std = {list(STD)}

[reference]
factory = "vector_nets:first"

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"

[[variant]]
name = "moved"
factory = "vector_nets:second"

[[variant]]
name = "file"
onnx = "second.onnx"
input = {{ mean = {list(MEAN)}, std = {list(STD)} }}

[[metric]]
use = "fidelity.predictions"

[[metric]]
use = "fidelity.accuracy"

[[metric]]
use = "uncertainty.calibration"

[[metric]]
use = "adversarial.pgd"
epsilon = {EPSILON}
steps = 30

[[metric]]
use = "lipschitz.local"

[[metric]]
use = "attribution.ig"

[[metric]]
use = "cost"
rounds = 5
warmup = 1
"""
NETS = """
import numpy as np
import torch

def _linear(name):
    held = np.load(__file__.replace("vector_nets.py", "weights.npz"))
    layer = torch.nn.Linear(held[name].shape[1], held[name].shape[0])
    layer.weight.data, layer.bias.data = torch.from_numpy(held[name]), torch.from_numpy(held[name + "_bias"])
    return layer

def first():
    return _linear("first")

def second():
    return _linear("second")

def steps():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(15, 2))
"""


def onnx_file(weight, bias):
    helper = onnx.helper
    ports = [helper.make_tensor_value_info("x", 1, ["n", weight.shape[1]])]
    ports += [helper.make_tensor_value_info("z", 1, ["n", len(weight)])]
    node = helper.make_node("Gemm", ["x", "w", "b"], ["z"], transB=1)
    held = [onnx.numpy_helper.from_array(array, name) for name, array in (("w", weight), ("b", bias))]
    graph = helper.make_graph([node], "net", ports[:1], ports[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Two linear networks of two classes as factories and files, and vectors that the first has mostly right."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vector_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("vector_nets", None)
    random = np.random.default_rng(0)
    weights = {"first": random.normal(size=(2, FEATURES)).astype(np.float32)}
    weights["second"] = weights["first"] + 0.4 * random.normal(size=(2, FEATURES)).astype(np.float32)
    weights |= {f"{name}_bias": 0.1 * random.normal(size=2).astype(np.float32) for name in ("first", "second")}
    np.savez(tmp_path / "weights.npz", **weights)
    x = random.random((80, FEATURES), dtype=np.float32)
    y = (logits(x, weights, "first") + 0.3 * random.gumbel(size=(80, 2))).argmax(1)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    onnx.save(onnx_file(weights["second"], weights["second_bias"]), tmp_path / "second.onnx")
    (tmp_path / "vectors.toml").write_text(SUITE)
    return weights


def logits(x, weights, name, mean=MEAN, std=STD):
    given = (x.astype(np.float64) - mean) / std
    return given @ weights[name].astype(np.float64).T + weights[f"{name}_bias"]


def log_softmax(z):
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def divergence(a, b):
    p, q = np.exp(log_softmax(a)), np.exp(log_softmax(b))
    m = (p + q) / 2
    return float(((p * np.log(p / m) + q * np.log(q / m)).sum(1) / 2).mean())


def robust_errors(x, y, weights, name, std=STD):
    """Of two classes the worst corner of the ball is known: it moves against every weight of the margin."""
    z = logits(x, weights, name)
    slope = (weights[name][0] - weights[name][1]).astype(np.float64) / std
    sign = np.where(y == 0, 1.0, -1.0)
    moved = np.clip(x - EPSILON * np.sign(slope) * sign[:, None], 0, 1)
    worst = sign * (z[:, 0] - z[:, 1]) + ((moved - x) * slope).sum(1) * sign
    return worst < 0


def centred_jacobian(weights, name, std=STD):
    weight = weights[name].astype(np.float64) / std
    return weight - weight.mean(0)


def test_every_figure_equals_the_computation_by_hand(made, tmp_path):
    data = bench.api.load_suite(tmp_path / "vectors.toml").loader.load(60, 20)
    assert data.input.shape == (FEATURES,)
    x, y = data.evaluation.x, data.evaluation.y
    found = bench.api.run(tmp_path / "vectors.toml")
    a, b = (logits(x, made, name) for name in ("first", "second"))
    jacobians = [centred_jacobian(made, name) for name in ("first", "second")]
    cells = {(cell.variant, cell.target, cell.metric): cell for cell in found.cells}
    assert {(variant, target) for variant, target, _ in cells} == {
        ("moved", "torch"), ("moved", "edge"), ("file", "edge")
    }  # fmt: skip
    for variant, target in (("moved", "torch"), ("moved", "edge"), ("file", "edge")):

        def value(metric, name, variant=variant, target=target):
            cell = cells[variant, target, metric]
            assert cell.status == "ok", cell.reason
            return cell.values[name]

        assert value("fidelity.predictions", "flip_rate").estimate == (a.argmax(1) != b.argmax(1)).mean() > 0
        assert value("fidelity.predictions", "js").estimate == pytest.approx(divergence(a, b), rel=1e-4)
        for side, z, name in (("reference", a, "first"), ("variant", b, "second")):
            accuracy = (z.argmax(1) == y).mean()
            assert getattr(value("fidelity.accuracy", "accuracy"), side) == pytest.approx(accuracy, abs=1e-12)
            nll = -log_softmax(z)[np.arange(60), y].mean()
            assert getattr(value("uncertainty.calibration", "nll"), side) == pytest.approx(nll, rel=1e-5)
            robust = robust_errors(x, y, made, name).mean()
            assert robust > 1 - accuracy
            assert getattr(value("adversarial.pgd", "robust_error"), side) == pytest.approx(robust, abs=1e-12)
            norm = np.linalg.norm(centred_jacobian(made, name), 2)
            assert getattr(value("lipschitz.local", "log_jacobian_norm"), side) == pytest.approx(np.log(norm), rel=1e-5)
        apart = np.linalg.norm(jacobians[0] - jacobians[1], 2)
        assert value("lipschitz.local", "jacobian_difference").estimate == pytest.approx(apart, rel=1e-5)
        maps = [x * jacobian[a.argmax(1)] for jacobian in jacobians]  # of a linear network, from the baseline 0
        cosine = (maps[0] * maps[1]).sum(1) / np.linalg.norm(maps[0], axis=1) / np.linalg.norm(maps[1], axis=1)
        assert value("attribution.ig", "cosine_distance").estimate == pytest.approx((1 - cosine).mean(), rel=1e-4)
        assert value("cost", "macs").variant == 2 * FEATURES


class Sequences(Loader):
    """Samples (channels, steps) from outside."""

    name = "sequences"
    mean, shape = (0.5, 0.25), (2, 7)

    def __init__(self, mean=mean, shape=shape):
        self.mean, self.shape = mean, shape

    def load(self, evaluation, calibration):
        random = np.random.default_rng(2)
        x = random.random((evaluation, *self.shape), dtype=np.float32)
        samples = Samples(tuple(map(str, range(evaluation))), x, np.arange(evaluation) % 2)
        declared = InputSpec(self.shape, ("a", "b"), mean=self.mean, std=(0.5,))
        other = replace(samples, ids=tuple(f"c{name}" for name in samples.ids)).take(slice(0, calibration))
        return Dataset("sequences", declared, samples.take(slice(0, 0)), other, samples)


SEQUENCES = """
[data]
loader = "{loader}"
evaluation = 12
calibration = 4

[reference]
factory = "vector_nets:steps"

[[target]]
name = "edge"
runtime = "onnxruntime"

[[target]]
name = "torch"

[[variant]]
name = "noise"
steps = [{{ use = "weight-noise", sigma = 0.2 }}]

[[metric]]
use = "fidelity.predictions"

[[metric]]
use = "uncertainty.calibration"

[[metric]]
use = "lipschitz.local"
"""


def test_sequences(made, tmp_path):
    import vector_nets

    (tmp_path / "loaders_of_sequences.py").write_text(
        "from bench.data.base import loaders\nfrom bench.registry import parameters\nimport test_vectors_held as held\n"
        '@loaders.register("sequences-of-tests")\n@parameters\nclass Mine(held.Sequences):\n    """Sequences."""\n'
    )
    sys.modules["test_vectors_held"] = sys.modules[__name__]
    (tmp_path / "sequences.toml").write_text(SEQUENCES.format(loader="loaders_of_sequences:Mine"))
    found = bench.api.run(tmp_path / "sequences.toml")
    assert not [cell.reason for cell in found.cells if cell.status != "ok"]
    data = load_dataset(Sequences(), 12, 0).evaluation
    given = (data.x - np.array([[0.5], [0.25]], dtype=np.float32)) / 0.5
    with torch.no_grad():
        z = vector_nets.steps()(torch.from_numpy(given)).double().numpy()
    nll = -log_softmax(z)[np.arange(12), data.y].mean()
    for cell in found.cells:
        if cell.metric == "uncertainty.calibration":
            assert cell.values["nll"].reference == pytest.approx(nll, rel=1e-5)


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        (Sequences(mean=(0.1, 0.2, 0.3)), "data.mean: 3 values for 2 channels; give 1 or 2"),
        (Sequences(shape=(4,)), "data.mean: 2 values for 4 features; give 1 or 4"),
        (Sequences(mean=(0.0,), shape=()), "one sample is a single number"),
    ],
)
def test_a_loader_that_contradicts_itself(loader, said):
    with pytest.raises(UserError, match=said):
        load_dataset(loader, 12, 0)


def test_what_needs_images_names_the_shape():
    declared = InputSpec((2, 7), ("a", "b"))
    with pytest.raises(UserError, match=r"'convnet' takes images, the data are samples of shape \(2, 7\); give model"):
        models.get("convnet")().check(declared)
    with pytest.raises(UserError, match=r"'shift' moves pixels, the data are samples of shape \(2, 7\)"):
        check_recipe(Recipe(augmentation="shift"), declared)


def test_shapes_that_the_worst_corner_needs():
    """The closed form above against every corner, on a small example."""
    weights = {"w": np.float32([[1.0, -2.0], [0.5, 0.5]]), "w_bias": np.float32([0.0, 0.1])}
    x, y = np.array([[0.05, 0.5], [0.5, 0.02], [0.9, 0.99]]), np.array([1, 0, 1])
    corners = [np.clip(x + EPSILON * np.array(signs), 0, 1) for signs in product((-1, 0, 1), repeat=2)]

    def wrong(points):
        z = (points @ weights["w"].astype(np.float64).T) + weights["w_bias"]
        return z.argmax(1) != y

    by_corner = np.any([wrong(points) for points in corners], axis=0)
    z = x @ weights["w"].astype(np.float64).T + weights["w_bias"]
    slope = (weights["w"][0] - weights["w"][1]).astype(np.float64)
    sign = np.where(y == 0, 1.0, -1.0)
    moved = np.clip(x - EPSILON * np.sign(slope) * sign[:, None], 0, 1)
    assert np.array_equal(sign * (z[:, 0] - z[:, 1]) + ((moved - x) * slope).sum(1) * sign < 0, by_corner)

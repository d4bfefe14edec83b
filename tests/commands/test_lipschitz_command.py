"""``crbench lipschitz`` on a factory and on an ONNX file, and what it says of what it cannot bound."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from bench.cli import run_cli

SHAPE = ["--shape", "1,4,4"]
NETS = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3))

def bent():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ELU(), nn.Linear(6, 3))

class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return x + torch.relu(self.inner(x))

def branched():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), Skip(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).eval()

class Rounds(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(16, 3)

    def forward(self, x):
        return self.inner(x.flatten(1)).round()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lipschitz_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def bounds(capsys, *arguments):
    assert run_cli(["lipschitz", *arguments, "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return json.loads(shown.out)


def exact() -> float:
    """The largest norm over the 64 patterns of the small network's ReLUs, whichever of them an input has."""
    torch.manual_seed(0)
    first, second = nn.Linear(16, 6), nn.Linear(6, 3)
    a, b = (layer.weight.detach().double().numpy() for layer in (first, second))
    masks = (np.arange(64)[:, None] >> np.arange(6) & 1).astype(float)
    return max(np.linalg.norm(b @ (mask[:, None] * a), 2) for mask in masks)


def test_every_method_holds_beside_the_constant_of_all_patterns(folder, capsys) -> None:
    found = bounds(capsys, "lipschitz_nets:small", "--shape", "1,4,4")
    kinds = {"certified": [], "lower": []}
    for bound in found["bounds"]:
        assert {"method", "kind", "norm", "domain", "value", "seconds"} <= set(bound)
        kinds[bound["kind"]].append(bound["value"])
    assert max(kinds["lower"]) <= min(kinds["certified"])
    assert min(kinds["certified"]) >= exact() * (1 - 1e-6)  # every pattern occurs: six neurons, sixteen inputs
    assert max(kinds["lower"]) > 0.5 * exact()
    assert found["skipped"] == []


def test_on_the_box_of_the_data_bounds_are_no_larger(folder, capsys) -> None:
    methods = ["--method", "eclipse-fast", "--method", "full-diagonal", "--method", "secants", "--bounds", "0.45,0.55"]
    anywhere, box = (
        {
            bound["method"]: bound
            for bound in bounds(capsys, "lipschitz_nets:small", *SHAPE, *methods, "--domain", domain)["bounds"]
        }
        for domain in ("global", "box")
    )
    for method in ("eclipse-fast", "full-diagonal"):
        assert box[method]["value"] <= anywhere[method]["value"] * (1 + 1e-6)
        assert box[method]["domain"] == "box [0.45, 0.55]"
    assert box["secants"]["value"] <= box["full-diagonal"]["value"]
    assert box["full-diagonal"]["value"] < 0.99 * anywhere["full-diagonal"]["value"]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_networks_with_branches_and_pools_are_bounded_on_boxes_and_balls(folder, capsys, norm) -> None:
    lines = ["--norm", norm, "--budget", "5"]
    found = {}
    for domain in (["global"], ["box", "--bounds", "0.4,0.6"], ["ball", "--radius", "0.01"]):
        told = bounds(capsys, "lipschitz_nets:branched", *SHAPE, *lines, "--domain", *domain)["bounds"]
        found[domain[0]] = {bound["method"]: bound["value"] for bound in told}
        assert max(b["value"] for b in told if b["kind"] == "lower") <= min(
            b["value"] for b in told if b["kind"] == "certified"
        )
        places = {"global": "global", "box": "box [0.4, 0.6]", "ball": "8 balls of radius 0.01"}
        assert {bound["domain"] for bound in told if bound["kind"] == "certified"} == {places[domain[0]]}
    assert found["ball"]["product"] <= found["box"]["product"] <= found["global"]["product"] * (1 + 1e-9)
    assert found["ball"]["liplt"] < min(found["box"]["liplt"], 0.8 * found["global"]["product"])
    assert "interval-jacobian" in found["box"]
    assert "interval-jacobian" not in found["global"]


def test_activations_of_every_kind_are_bounded_on_a_box(folder, capsys) -> None:
    found = bounds(capsys, "lipschitz_nets:bent", *SHAPE, "--domain", "box", "--budget", "5")
    assert {"full-diagonal", "liplt", "secants"} <= {bound["method"] for bound in found["bounds"]}


def test_an_onnx_file_says_its_own_shape_and_what_does_not_apply_is_told(folder, capsys) -> None:
    random = np.random.default_rng(0)
    ports = [
        onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", ["n", 1, 4, 4]), ("z", ["n", 3]))
    ]
    nodes = [
        onnx.helper.make_node("Conv", ["x", "k"], ["c"]),
        onnx.helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2]),
        onnx.helper.make_node("Flatten", ["p"], ["f"]), onnx.helper.make_node("MatMul", ["f", "w"], ["z"]),
    ]  # fmt: skip
    weights = [
        onnx.numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in (("k", (2, 1, 3, 3)), ("w", (2, 3)))
    ]
    graph = onnx.helper.make_graph(nodes, "net", ports[:1], ports[1:], weights)
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10), "net.onnx"
    )
    found = bounds(capsys, "net.onnx", "--norm", "linf")
    assert {bound["method"] for bound in found["bounds"]} == {"product", "jacobian", "secants"}
    reasons = {item["method"]: item["reason"] for item in found["skipped"]}
    assert reasons["full-diagonal"] == "l2 only"
    assert "MaxPool has no place in a chain" in reasons["liplt"]


def test_the_table_says_in_what_interval_the_constant_lies(folder, capsys) -> None:
    assert (
        run_cli(
            ["lipschitz", "lipschitz_nets:small", "--shape", "1,4,4", "--method", "product", "--method", "jacobian"]
        )
        == 0
    )
    shown = capsys.readouterr()
    assert "the constant lies in [" in shown.out
    assert "product ..." in shown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lipschitz_nets:small"], "--shape: a torch network does not say the shape of its input; give --shape"),
        (["lipschitz_nets:small", "--shape", "4,x"], "--shape: '4,x' is no shape"),
        (["lipschitz_nets:small", *SHAPE, "--method", "liplit"], "no method 'liplit'; did you mean 'liplt'"),
        (["lipschitz_nets:Rounds", *SHAPE], "it rounds, and a function that rounds has no finite Lipschitz"),
        (["lipschitz_nets:small", *SHAPE, "--domain", "ball"], "--radius: None for the domain 'ball'"),
        (["lipschitz_nets:small", *SHAPE, "--radius", "1"], "--radius: 1.0 for the domain 'global'"),
        (["lipschitz_nets:small", *SHAPE, "--domain", "ball", "--radius", "-1"], "balls have a radius above 0"),
        (["missing.onnx"], "no file missing.onnx"),
    ],
)  # fmt: skip
def test_what_cannot_be_bounded_is_said_in_a_line(folder, capsys, arguments, said) -> None:
    assert run_cli(["lipschitz", *arguments, "-q"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error

"""``bench.layers``: which layer moved the function, in memory."""

import copy
import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import bench
from bench.cli import run_cli
from bench.errors import UserError
from bench.layer_report import COLUMNS


@pytest.fixture(scope="module")
def given():
    """A network, a copy whose second layer is spoilt, samples and the network's own labels."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4))
    spoilt = copy.deepcopy(net)
    with torch.no_grad():
        spoilt[3].weight += 0.2 * torch.randn(9, 12)
    x = np.random.default_rng(0).uniform(size=(90, 4, 4)).astype(np.float32)
    with torch.no_grad():
        y = net(torch.from_numpy(x)).argmax(1).numpy()
    return net, spoilt, x, y


@pytest.fixture(scope="module")
def report(given):
    return bench.layers(*given)


def test_the_spoilt_layer_comes_first(report):
    frame = report.frame()
    assert tuple(frame.columns) == COLUMNS
    first = frame.iloc[0]
    assert (first["rank"], first.layer, first.kind) == (1, report.ranking[0], "linear")
    assert report.culprits == [first.layer]
    assert list(frame.culprit) == [name in report.culprits for name in frame.layer]
    assert first.js_low > 0
    total = report.report.divergence.js.estimate
    assert first.js_removed == pytest.approx(total, rel=1e-4)  # all of it comes from there
    lost = report.report.layers
    (row,) = [row for row in lost if row.name == first.layer]
    assert (first.accuracy_removed, first.own_error) == (
        row.restored.accuracy.removed, row.added.relative_mse,
    )  # fmt: skip
    assert len(frame) == len(report.ranking) == len(list(report.rows()))


@pytest.mark.filterwarnings("ignore")  # the exporter speaks of its age
def test_it_shows_what_the_command_prints(given, report, tmp_path, monkeypatch, capsys):
    net, spoilt, x, y = given
    monkeypatch.chdir(tmp_path)
    for name, module in {"reference": net, "variant": spoilt}.items():
        torch.onnx.export(
            module, (torch.zeros(2, 1, 4, 4),), f"{name}.onnx", dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )  # fmt: skip
    np.savez("x.npz", x=x, y=y)
    assert run_cli(["why-diverged", "reference.onnx", "variant.onnx", "--data", "x.npz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    files = bench.layers("reference.onnx", onnx.load("variant.onnx"), x, y)
    assert json.loads(files.report.model_dump_json()) == told
    assert [row["js_removed"] for row in files.rows()] == pytest.approx(
        [row["js_removed"] for row in report.rows()], rel=1e-3, abs=1e-9
    )
    shown = repr(report)
    assert shown.startswith("As deployed: Jensen-Shannon divergence")
    assert shown.splitlines()[2].split()[:2] == ["1", report.ranking[0]]
    assert report._repr_html_().startswith("<pre")
    assert not (tmp_path / ".crbench").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: {**a, "reference": lambda x: x.reshape(len(x), -1)[:, :4]}, "reference: a function of arrays"),
        (lambda a: {**a, "reference": "none.onnx"}, "reference: no file none.onnx"),
        (lambda a: {**a, "variant": _convolution()}, "variant: no layer can be matched"),
        (lambda a: {**a, "reference": _not_a_number(a["reference"])}, "reference: its logits are NaN"),
        (lambda a: {**a, "bounds": (1, 0)}, r"bounds: 1 is not below 0; give \(low, high\) with low < high"),
        (lambda a: {**a, "integer_sums": "exact"}, "integer_sums: 'exact' asked of torch networks"),
    ],
)  # fmt: skip
def test_errors_name_the_arguments(given, change, said):
    net, spoilt, x, _ = given
    with pytest.raises(UserError, match=f"^{said}"):
        bench.layers(**change({"reference": net, "variant": spoilt, "x": x}))


def _convolution():
    return nn.Sequential(nn.Conv2d(1, 4, 4), nn.Flatten())


class Logarithm(nn.Module):
    """NaN where it is given less than 0."""

    def forward(self, x):
        return x.log()


def _not_a_number(net):
    return nn.Sequential(*copy.deepcopy(net), Logarithm())


def test_a_function_has_no_layers(given):
    with pytest.raises(UserError, match="variant: a function of arrays has no layers that could be looked at; give a"):
        bench.layers(given[0], lambda x: x.reshape(len(x), -1)[:, :4], given[2])

"""How much of a divergence arises in the runtime: in its optimisation, and in sums that saturate."""

import json

import numpy as np
import onnx
import pytest
import torch

import bench
from bench.cli import run_cli
from bench.data.base import Samples
from bench.engine.layer_culprits import why_diverged
from bench.engine.layer_culprits.deployed import Deployed, deployed_divergence
from bench.engine.layer_culprits.output_damage import OutputDamage
from bench.errors import UserError
from bench.networks.network import InputSpec, TorchNetwork
from bench.results.layers import Estimate
from bench.runtimes import running_file
from bench.runtimes.base import Target
from bench.runtimes.integer_sums import NodeSums
from bench.runtimes.opening import open_predictor
from tests.engine.test_parity import network


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A matrix product with large weights, as float and as 8-bit file: its sums saturate on x86 without VNNI."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 3)).astype(np.float32)
    x = random.random((60, 1, 4, 4), dtype=np.float32)
    np.savez("x.npz", x=x, y=(x.reshape(60, 16) @ weight).argmax(1))
    onnx.save(network(weight, False), "float.onnx")
    onnx.save(network(weight, True), "int8.onnx")
    return tmp_path


def test_parts_add_up_to_the_divergence_as_deployed(files):
    for sums in ("exact", "saturating"):
        found = why_diverged("float.onnx", "int8.onnx", "x.npz", integer_sums=sums).deployed
        assert sum(part.estimate for part in found.parts.values()) == pytest.approx(found.js.estimate)
        for part in found.parts.values():
            assert part.ci[0] <= part.estimate <= part.ci[1]
        assert (found.integer_sums.kind, found.integer_sums.asked) == (sums, sums)


def test_saturation_is_charged_to_the_processor_and_not_to_a_layer(files):
    exact = why_diverged("float.onnx", "int8.onnx", "x.npz", integer_sums="exact")
    saturating = why_diverged("float.onnx", "int8.onnx", "x.npz", integer_sums="saturating")
    assert exact.deployed.parts["processor"] == Estimate(estimate=0.0, ci=(0.0, 0.0))
    assert saturating.deployed.parts["processor"].ci[0] > 0
    assert saturating.deployed.runtime_share > 0.9
    assert saturating.divergence == exact.divergence  # layer by layer nothing saturates
    (layer,) = saturating.deployed.integer_sums.layers
    assert 0 < layer.saturated < layer.can_saturate < 1


def test_the_command_leads_with_it(files, capsys):
    command = ["why-diverged", "float.onnx", "int8.onnx", "--data", "x.npz", "--quiet", "--integer-sums"]
    assert run_cli([*command, "saturating"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("As deployed, on ONNX Runtime, saturating 8-bit sums")
    assert "% of it: graph optimisation" in shown
    assert "Pair sums that saturate:" in shown
    assert "reduce_range" in shown
    assert run_cli([*command, "exact"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Pair sums that would saturate on x86 without VNNI:" in shown
    assert 'measure it with integer_sums = "saturating" too.' in shown
    assert run_cli([*command, "exact", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["deployed"]["integer_sums"]["kind"] == "exact"


def test_sums_that_cannot_be_had_are_an_error_of_what_asked_for_them(files, monkeypatch, capsys):
    stays = [NodeSums("y", "QGemm", "saturating", True)]
    monkeypatch.setattr(running_file, "sums_of_nodes", lambda graph, provider: stays)
    monkeypatch.setattr(running_file, "_checked", {})
    said = r"variant: exact 8-bit sums cannot be had on this processor: node 'y' \(QGemm\) has saturating sums; leave "
    with pytest.raises(UserError, match=f"{said}integer_sums out"):
        bench.layers("float.onnx", "int8.onnx", "x.npz", integer_sums="exact")
    command = ["why-diverged", "float.onnx", "int8.onnx", "--data", "x.npz", "--quiet", "--integer-sums", "exact"]
    assert run_cli(command) == 2
    shown = capsys.readouterr().err
    assert "VARIANT: exact 8-bit sums" in shown
    assert shown.endswith("leave --integer-sums out\n")


def test_of_torch_networks_no_sums_are_asked(files, capsys):
    command = ["why-diverged", "torch.nn:Identity", "torch.nn:Identity", "--data", "x.npz", "--integer-sums", "exact"]
    assert run_cli(command) == 2
    assert "--integer-sums: 'exact' asked of torch networks; it is of ONNX files" in capsys.readouterr().err


def test_no_interval_of_few_samples_leaves_its_range(files):
    """Three of five samples turned around by the processor; and by the layers, before it turned them back."""
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    predictor = open_predictor(TorchNetwork(module, InputSpec((1, 4, 4), ("a", "b"))), Target(name="torch"))
    sure = np.where(np.eye(2)[[0, 0, 0, 0, 0]] > 0, 9.0, 0.0) + np.linspace(0, 0.1, 10).reshape(5, 2)
    turned = np.where(np.arange(5)[:, None] > 1, sure[:, ::-1], sure * 1.01)
    samples = Samples(tuple("abcde"), np.zeros((5, 1, 4, 4), np.float32), None)
    own = Deployed(sure, sure, predictor)
    for layers, processor, share in ((sure * 1.01, turned, 1.0), (turned, sure * 1.01, 0.0)):
        found = deployed_divergence(
            OutputDamage(sure, layers, None), (own, Deployed(processor, layers, predictor)), samples
        )
        assert 0 <= found.js.ci[0] <= found.js.ci[1] <= np.log(2)
        for part in found.parts.values():
            assert -np.log(2) <= part.ci[0] <= part.ci[1] <= np.log(2)
        assert found.runtime_share == pytest.approx(share, abs=0.01)

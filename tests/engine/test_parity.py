"""Gradient metrics on ONNX Runtime through the twin: in runs and diffs, with the parity in every cell."""

import json
import re
import shutil

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import bench
from bench import load_suite
from bench.cli import run_cli
from bench.engine.planning import plan_suite
from bench.errors import NotDifferentiable
from bench.functional.attacks import pgd
from bench.runtimes.onnx_predictor import OnnxPredictor
from bench.runtimes.onnx_session import graph_of
from bench.store.keys import key_of

GRADIENTS = ("adversarial.pgd[epsilon=0.1,steps=3]", "attribution.ig[steps=4]", "lipschitz.local")


def network(weight, quantised) -> onnx.ModelProto:
    """Flatten and a matrix product; quantised: of codes of the image and of the weight."""
    nodes = [helper.make_node("Flatten", ["x"], ["f"])]
    constants = {"w": weight}
    source = ["f", "w"]
    if quantised:
        scale = np.float32(np.abs(weight).max() / 127)
        constants = {
            "w": np.rint(weight / scale).astype(np.int8), "ws": scale, "wz": np.int8(0),
            "s": np.float32(1 / 255), "z": np.uint8(0),
        }  # fmt: skip
        nodes += [
            helper.make_node("QuantizeLinear", ["f", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["v"]),
        ]
        source = ["d", "v"]
    nodes.append(helper.make_node("MatMul", source, ["y"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "linear",
        [value("x", 1, ["n", 1, 4, 4])],
        [value("y", 1, ["n", 3])],
        [numpy_helper.from_array(np.asarray(tensor), name) for name, tensor in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 3)).astype(np.float32)
    x = random.random((40, 1, 4, 4), dtype=np.float32)
    np.savez("x.npz", x=x, y=(x.reshape(40, 16) @ weight).argmax(1))
    onnx.save(network(weight, False), "float.onnx")
    onnx.save(network(weight, True), "int8.onnx")
    return tmp_path


@pytest.mark.parametrize("sums", ["exact", "saturating"])
def test_diff_of_two_files_takes_gradient_metrics(files, capsys, sums):
    chosen = ["--integer-sums", sums, *(part for name in GRADIENTS for part in ("--metric", name))]
    assert run_cli(["diff", "float.onnx", "int8.onnx", "--data", "x.npz", "--json", *chosen]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [cell["status"] for cell in cells] == ["ok"] * 3
    for cell in cells:
        assert cell["details"]["variant"]["gradient"] == "straight_through"
        assert cell["details"]["reference"]["gradient"] == "exact"
        for figures in cell["parity"].values():
            assert figures["samples"] == 40
            assert figures["argmax_agreement"] == 1
            assert figures["logit_difference"]["1"] < 1e-5
    (jacobian,) = (cell for cell in cells if cell["metric"] == "lipschitz.local")
    rounding = jacobian["values"]["jacobian_difference"]  # of the weights alone: the quantiser of x passes it on
    told = jacobian["details"]["variant"]["integer_sums"]
    assert (told["kind"], told["asked"]) == (sums, sums)
    if sums == "exact":
        assert 0 < rounding["estimate"] < 0.05
    else:  # a clipped pair has no gradient
        assert any(layer["saturated"] > 0 for layer in told["layers"])
        assert rounding["estimate"] > 0.05


def test_default_metrics_of_a_diff_use_no_gradients(files, capsys):
    assert run_cli(["diff", "float.onnx", "int8.onnx", "--data", "x.npz", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert all(cell["parity"] is None for cell in cells)


def test_a_skip_from_before_there_were_twins_is_not_served(measured):
    """The key of what uses gradients says by which view; no other key does."""
    plan = plan_suite(load_suite("tiny.toml"), "cpu").plan
    for cell in plan.cells:
        differentiated = cell.use.metric.gradients
        for shown in cell.every():
            assert ("gradients" in shown.parts) == differentiated
            older = {name: part for name, part in shown.parts.items() if name != "gradients"}
            assert (key_of(older) != shown.key) == differentiated


def test_a_repeated_run_has_the_parity_of_the_first(measured):
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    cells = [cell for cell in measured.results()["cells"] if cell["parity"] is not None]
    assert {cell["variant"] for cell in cells} == {"noise", "int8"}
    for cell in cells:
        assert cell["cached"]
        assert set(cell["parity"]) == {"reference", "variant"}
        assert cell["parity"]["variant"]["samples"] == 64


def test_cells_derived_anew_from_stored_observations_have_it_too(measured):
    before = [cell["parity"] for cell in measured.results()["cells"]]
    shutil.rmtree(measured.folder / ".crbench" / "cells")
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert not any(cell["cached"] for cell in measured.results()["cells"])
    assert [cell["parity"] for cell in measured.results()["cells"]] == before


def other_graph(whose):
    """A graph property that hands out another network's graph for those networks."""

    def graph(predictor):
        own = predictor.running
        if whose(predictor.network):
            model = onnx.load_from_string(own)
            for tensor in model.graph.initializer:
                if tensor.name == "w":
                    tensor.CopyFrom(numpy_helper.from_array(np.roll(numpy_helper.to_array(tensor), 1, 0), "w"))
            own = model.SerializeToString()
        return graph_of(own, predictor.spec.target)

    return property(graph)


@pytest.mark.parametrize("refused", ["variant", "reference", "both"])
def test_a_refusal_comes_before_any_attack_and_says_what_to_do(files, monkeypatch, refused):
    """Whichever of the two imports is another function: nothing is attacked, no yardstick either."""
    whose = {"variant": lambda n: n.quantised, "reference": lambda n: not n.quantised, "both": lambda n: True}[refused]
    monkeypatch.setattr(OnnxPredictor, "graph", other_graph(whose))
    attacks = []
    monkeypatch.setattr(pgd, "pgd", lambda *given, **more: attacks.append(given) or pytest.fail("attacked"))
    found = bench.diff("float.onnx", "int8.onnx", "x.npz", metrics=["adversarial.pgd[epsilon=0.1]"])
    (cell,) = found.cells
    assert (cell.status, attacks) == ("skipped", [])
    role = "reference" if refused == "reference" else "variant"
    said = rf"{role}: no gradients to trust: .* differs from ONNX Runtime's session on 40 samples, .*: median .* on "
    assert re.match(said, cell.reason), cell.reason
    assert "another function's. Measure the metric on a torch target, or accept the skip by name" in cell.reason
    assert cell.reason.endswith("not_applicable")  # not cut off


def test_stages_of_a_refused_reference_are_skipped(measured, monkeypatch):
    measured.write('name = "int8"\n', 'name = "int8"\nstages = true\n')
    text = (measured.folder / "tiny.toml").read_text().replace("epsilon = 0.05", "epsilon = 0.06")
    (measured.folder / "tiny.toml").write_text(text)
    monkeypatch.setattr(OnnxPredictor, "trust", refuse)
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    found = measured.results()
    attacks = [cell for cell in found["cells"] if cell["metric"] == "adversarial.pgd" and cell["target"] == "edge"]
    assert {(cell["status"], cell["reason"]) for cell in attacks} == {("skipped", "variant: refused")}
    (int8,) = (variant for variant in found["variants"] if variant["name"] == "int8")
    shown = {(item["status"], item["reason"]) for stage in int8["stages"] for item in stage["metrics"][2:]}
    assert shown == {("ok", ""), ("skipped", "refused")}  # on torch, and from the runtime on


def refuse(self, x):
    raise NotDifferentiable("refused")

"""How 8-bit products are summed, through a whole run: keys, details, verdicts, simulation."""

import json
import shutil
from pathlib import Path

import pytest

from bench.engine.planning import plan_suite
from bench.runtimes import running_file
from bench.runtimes.integer_sums import native_sums
from bench.suite.load import load_suite

SUMS = 'integer_sums = "exact"\n'
BOTH = SUMS + '\n[[target]]\nname = "avx2"\nruntime = "onnxruntime"\ninteger_sums = "saturating"\n'
COST = '\n[[metric]]\nuse = "cost"\nrounds = 3\nwarmup = 1\n'


def by_cell(results):
    return {(c["variant"], c["target"], c["metric"]): c for c in results["cells"]}


def sums(cell):
    return cell["details"]["variant"]["integer_sums"]


@pytest.fixture
def both(measured):
    """The tiny suite after its first run, with a target of either kind, and costs."""
    measured.write(SUMS, BOTH, measured.text + COST)
    return measured


def test_saturating_targets_take_networks_with_8_bit_products_alone(both):
    plan = plan_suite(load_suite(both.folder / "tiny.toml")).plan
    assert {cell.target.name for cell in plan.cells if cell.variant == "noise"} == {"torch", "edge"}
    assert {cell.target.name for cell in plan.cells if cell.variant == "int8"} == {"edge", "avx2"}
    cells = {(cell.target.name, cell.use.metric.name): cell for cell in plan.cells if cell.variant == "int8"}
    for metric in ("fidelity.predictions", "adversarial.pgd"):
        one, other = (cells[target, metric] for target in ("edge", "avx2"))
        assert [cell.observed[0][0].parts["integer_sums"] for cell in (one, other)] == ["exact", "saturating"]
        assert one.key != other.key
        assert one.reference[0][0].key == other.reference[0][0].key  # a float network is the same function on both


def test_every_8_bit_cell_names_the_kind_and_the_layers_that_can_saturate(both):
    assert both.run("run", "tiny.toml", "--quiet") == 0
    results = both.results()
    cells = by_cell(results)
    for (variant, target, _), cell in cells.items():
        if variant == "noise":
            assert "integer_sums" not in cell["details"].get("variant", {})
        else:
            kind = {"edge": "exact", "avx2": "saturating"}[target]
            assert (sums(cell)["kind"], sums(cell)["asked"]) == (kind, kind)
            assert sums(cell)["simulated"] == (kind == "saturating" and native_sums() != "saturating")
            assert [layer["operator"] for layer in sums(cell)["layers"]] == ["QGemm", "QGemm"]
            for layer in sums(cell)["layers"]:
                assert 0 <= layer["saturated"] <= layer["can_saturate"] <= 1
    said = {v["target"]: v["verdict"]["because"] for v in results["variants"] if v["name"] == "int8"}
    assert "another function on x86 without VNNI" in said["edge"]
    assert said["edge"].endswith(": see avx2")
    assert "another function" not in said["avx2"]
    assert results["run"]["machine"]["integer_sums"] == {"CPUExecutionProvider": native_sums()}
    page = (both.folder / "reports/tiny/index.html").read_text()
    assert "Sums of 8-bit products" in page


def test_where_sums_do_not_saturate_they_are_simulated_and_marked(both, monkeypatch):
    for store in ("simulated", "real"):
        shutil.copytree(".crbench", store)
    monkeypatch.setattr(running_file, "saturates", lambda network, target: False)
    assert both.run("run", "tiny.toml", "--quiet", "--only", "int8/avx2/*", "--store", "simulated") == 0
    simulated = by_cell(both.results())
    for (_, _, metric), cell in simulated.items():
        assert cell["status"] == "ok"
        assert sums(cell)["simulated"]
        assert cell["parity"]["variant"]["argmax_agreement"] == 1
        if metric == "cost":
            assert cell["values"]["file_bytes"]["variant"] > 0
            for name, value in cell["values"].items():
                assert (value["variant"] is None) == ("latency" in name or name == "peak_memory")
    monkeypatch.undo()
    monkeypatch.chdir(both.folder)
    if native_sums() == "saturating":  # here is the session that the twin stands for: the same numbers
        assert both.run("run", "tiny.toml", "--quiet", "--only", "int8/avx2/*", "--store", "real") == 0
        for place, cell in by_cell(both.results()).items():
            assert not sums(cell)["simulated"]
            if place[2] != "cost":
                assert cell["values"] == simulated[place]["values"]


def test_sums_that_cannot_be_had_skip_the_cells_and_name_the_node(measured, monkeypatch):
    from bench.runtimes.integer_sums import NodeSums

    stays = [NodeSums("/hidden/Gemm", "QGemm", "saturating", True)]
    monkeypatch.setattr(running_file, "sums_of_nodes", lambda graph, provider: stays)
    monkeypatch.setattr(running_file, "_checked", {})
    for kind in ("cells", "observations"):
        shutil.rmtree(measured.folder / ".crbench" / kind)
    assert measured.run("run", "tiny.toml", "--quiet", "--only", "int8/edge/fidelity*") == 3  # nothing was measured
    assert len(measured.results()["cells"]) == 2
    for cell in measured.results()["cells"]:
        assert cell["status"] == "skipped"
        assert cell["reason"] == (
            "variant: exact 8-bit sums cannot be had on this processor: node '/hidden/Gemm' (QGemm) has saturating sums"
        )


def test_check_says_of_networks_that_are_made_what_their_weights_tell(both, capsys):
    Path(".crbench").rename("kept")
    assert both.run("check", "tiny.toml") == 0
    assert "8-bit sums: not known before the networks are made: int8" in capsys.readouterr().out
    shutil.rmtree(".crbench", ignore_errors=True)
    Path("kept").rename(".crbench")
    assert both.run("check", "tiny.toml") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("8-bit sums"))
    assert line.startswith("8-bit sums: int8 (edge): it is another function on x86 without VNNI (")
    assert line.endswith(": see avx2")


def test_a_baseline_of_another_kind_of_sums_is_incomparable(measured, capsys):
    assert measured.run("run", "tiny.toml", "--quiet", "--only", "int8") == 0
    assert measured.run("baseline", "accept", "reports/tiny", "--out", "base.json") == 0
    held = {cell["integer_sums"] for cell in json.loads((measured.folder / "base.json").read_text())["cells"]}
    assert held == {"exact"}
    measured.write(SUMS, 'integer_sums = "saturating"\n')
    assert measured.run("run", "tiny.toml", "--quiet", "--only", "int8") == 0
    capsys.readouterr()
    assert measured.run("gate", "reports/tiny", "--baseline", "base.json") == 3
    shown = capsys.readouterr().out
    assert "incomparable" in shown
    assert "the kind of 8-bit sums (exact before, saturating now)" in shown
    assert "regressed" not in shown


def test_torch_sums_in_floating_point(tiny, capsys):
    tiny.write('name = "torch"\n', 'name = "torch"\ninteger_sums = "exact"\n')
    assert tiny.run("check", "tiny.toml") == 2
    assert "target[0].integer_sums: torch sums in floating point" in capsys.readouterr().err

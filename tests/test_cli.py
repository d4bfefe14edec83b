"""The command line beside ``run`` and ``diff``: help, check, list, describe, why, gc, and every mistake in one line."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest

from bench.cli import run_cli

START = "import sys\nfrom bench.cli import run_cli\n"


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_imports_nothing_heavy():
    loaded = python(
        f"{START}run_cli(['--help'])\nprint(sorted({{m.split('.')[0] for m in sys.modules}}))"
    ).splitlines()[-1]
    for name in ("numpy", "torch", "pydantic", "scipy", "rich", "onnx"):
        assert f"'{name}'" not in loaded
    assert "'click'" in loaded


def test_lists_and_descriptions_do_without_torch():
    code = f"""{START}
for kind in ("metrics", "steps", "models", "loaders", "sources", "runtimes"):
    run_cli(["list", kind])
run_cli(["describe", "adversarial.pgd"])
print("torch" in sys.modules)
"""
    shown = python(code)
    assert shown.splitlines()[-1] == "False"
    for name in ("adversarial.pgd", "structured-prune", "convnet", "digits", "gaussian-blur", "onnxruntime", "epsilon"):
        assert name in shown


def test_a_cached_run_does_without_torch(measured):
    code = f"""{START}
print(run_cli(["run", "tiny.toml", "--quiet"]), "torch" in sys.modules, "onnxruntime" in sys.modules)
"""
    assert python(code).split() == ["0", "False", "False"]


def test_python_m_bench_is_crbench():
    done = subprocess.run([sys.executable, "-m", "bench", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("crbench, version")


def test_check_prints_the_plan_and_what_is_stored(measured, capsys):
    assert measured.run("check", "tiny.toml") == 0
    assert "cells: 9, stored 9, to measure 0" in capsys.readouterr().out
    measured.write("sigma = 0.3", "sigma = 0.2")
    assert measured.run("check", "tiny.toml") == 0
    shown = capsys.readouterr().out
    assert "cells: 9, stored 3, to measure 6" in shown
    assert "networks to make: 2 (0 trained)" in shown  # the noisy network and its export
    assert "expected time: about" in shown


def test_check_reports_the_problems_of_all_suites_at_once(measured, capsys):
    measured.write("sigma = 0.3", "sigmo = 0.3")
    (measured.folder / "other.toml").write_text(
        measured.text.replace('use = "fidelity.accuracy"', 'use = "fidelity.acuracy"')
    )
    assert measured.run("check", "tiny.toml", "other.toml") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "tiny.toml: variant[0].steps[0].sigmo" in lines[0]
    assert "did you mean 'sigma'?" in lines[0]
    assert "did you mean 'fidelity.accuracy'?" in lines[1]


def test_why_names_what_changed(measured, capsys):
    cell = "noise/torch/fidelity.predictions"
    assert measured.run("why", cell, "--suite", "tiny.toml") == 0
    assert f"{cell}: reused" in capsys.readouterr().out
    measured.write("sigma = 0.3", "sigma = 0.2")
    assert measured.run("why", cell, "--suite", "tiny.toml") == 0
    shown = capsys.readouterr().out
    assert f"{cell}: to be measured" in shown
    assert "variant, logits: changed since it was last measured: network.parameters.sigma was 0.3, is 0.2" in shown
    assert "reference:" not in shown
    assert measured.run("why", "noise/torch/fidelity.prediction", "--suite", "tiny.toml") == 0
    assert measured.run("why", "nise/torch/fidelity.predictions", "--suite", "tiny.toml") == 2
    assert f"did you mean {cell!r}?" in capsys.readouterr().err


def test_why_answers_for_a_file_that_was_swapped(tiny, capsys):
    """With the cell of that name, whatever else is stored, and also where the new content is another variant's."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(64, 10)).astype(np.float32)

    def write(name, noise):
        moved = weight + noise * random.normal(size=weight.shape).astype(np.float32)
        ports = [onnx.helper.make_tensor_value_info(*port) for port in (("x", 1, ["n", 1, 8, 8]), ("z", 1, ["n", 10]))]
        nodes = [onnx.helper.make_node("Flatten", ["x"], ["f"]), onnx.helper.make_node("MatMul", ["f", "w"], ["z"])]
        graph = onnx.helper.make_graph(nodes, "g", ports[:1], ports[1:], [onnx.numpy_helper.from_array(moved, "w")])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
        (tiny.folder / name).write_bytes(model.SerializeToString())

    for name, noise in (("float.onnx", 0), ("a.onnx", 0.1), ("b.onnx", 0.2)):
        write(name, noise)
    variants = "".join(f'[[variant]]\nname = "{name}"\nonnx = "{name}.onnx"\n' for name in ("a", "b"))
    data = tiny.text[: tiny.text.index("[reference]")]
    metric = '[[metric]]\nuse = "fidelity.accuracy"\n'
    (tiny.folder / "tiny.toml").write_text(f'{data}[reference]\nonnx = "float.onnx"\n{variants}{metric}')
    assert tiny.run("run", "tiny.toml", "--quiet") == 0
    cell = "b/onnxruntime/fidelity.accuracy"

    def told():
        capsys.readouterr()
        assert tiny.run("why", cell, "--suite", "tiny.toml") == 0
        return capsys.readouterr().out

    before = hashlib.sha256((tiny.folder / "b.onnx").read_bytes()).hexdigest()[:12]
    write("b.onnx", 0.3)
    after = hashlib.sha256((tiny.folder / "b.onnx").read_bytes()).hexdigest()[:12]
    was_measured = "changed since it was last measured: the content of"
    changed = f"variant, logits: {was_measured} b.onnx changed (sha256 was {before}, is "
    shown = told()
    assert f"{cell}: to be measured" in shown
    assert f"{changed}{after})" in shown
    shutil.copy(tiny.folder / "a.onnx", tiny.folder / "b.onnx")
    shown = told()
    assert f"{cell}: reused, it is the same work as a/onnxruntime/fidelity.accuracy" in shown
    assert changed in shown
    write("b.onnx", 0.2)
    write("float.onnx", 0.01)
    assert f"reference, logits: {was_measured} float.onnx changed" in told()


def test_gc_frees_what_no_suite_uses(measured, capsys):
    assert measured.run("gc", "--older-than", "0") == 0
    assert capsys.readouterr().out.startswith("freed 0 files")
    measured.write("sigma = 0.3", "sigma = 0.2")
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert measured.run("gc", "--older-than", "0", "--dry-run") == 0
    assert measured.run("gc") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("would free")
    assert not shown[0].startswith("would free 0")
    assert shown[1].startswith("freed 0 files")  # too young to go
    assert measured.run("gc", "--older-than", "0") == 0
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert json.loads((measured.folder / "reports/tiny/results.json").read_text())["run"]["reused"] == 9


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("run nowhere.toml", "nowhere.toml"),
        ("run", "Missing argument 'SUITE'"),
        ("run tiny.toml --shard 3/2", "1 <= I <= N"),
        ("run tiny.toml --rerun sometimes", "'sometimes' is not one of"),
        ("run tiny.toml --device cuda:77", "cuda"),
        ("describe adversarial.pdg", "did you mean 'adversarial.pgd'?"),
        ("list metric", "'metric' is not one of"),
        ("runn tiny.toml", "No such command 'runn'"),
    ],
)
def test_mistakes_exit_2_without_a_traceback(measured, capsys, arguments, expected):
    before = {path: path.stat().st_mtime_ns for path in measured.folder.rglob("*")}
    if "cuda" in arguments:
        measured.write("sigma = 0.3", "sigma = 0.1")
    assert run_cli(arguments.split()) == 2
    shown = capsys.readouterr().err
    assert expected in shown
    assert "Traceback" not in shown
    if "cuda" not in arguments:
        assert {path: path.stat().st_mtime_ns for path in measured.folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x80\x04\x95pickle", "pickle"),
        (b"{}", "net.safetensors"),
    ],
)
def test_a_bad_checkpoint_stops_before_anything_is_written(tiny, capsys, content, expected):
    (tiny.folder / "net.safetensors").write_bytes(content)
    (tiny.folder / "factory_of_test_cli.py").write_text("import torch\ndef make():\n    return torch.nn.Flatten()\n")
    variant = (
        '[[variant]]\nname = "mine"\nfactory = "factory_of_test_cli:make"\ncheckpoint = "net.safetensors"\n\n[[metric]]'
    )
    tiny.write('[[metric]]\nuse = "fidelity.predictions"', f'{variant}\nuse = "fidelity.predictions"')
    assert tiny.run("run", "tiny.toml") == 2
    shown = capsys.readouterr().err
    assert expected in shown
    assert "Traceback" not in shown
    assert not (tiny.folder / "reports").exists()


def test_internal_errors_exit_4(monkeypatch, capsys):
    monkeypatch.setattr("bench.suite.registered_names.list_names", lambda kind: 1 / 0)
    assert run_cli(["list", "metrics"]) == 4
    assert "internal error" in capsys.readouterr().err


def test_code_from_outside_that_ends_the_program_is_no_pass(tiny, capsys):
    (tiny.folder / "exits_of_test_cli.py").write_text("import sys\ndef make():\n    sys.exit(0)\n")
    variant = '[[variant]]\nname = "mine"\nfactory = "exits_of_test_cli:make"\n\n[[metric]]'
    tiny.write('[[metric]]\nuse = "fidelity.predictions"', f'{variant}\nuse = "fidelity.predictions"')
    assert tiny.run("run", "tiny.toml", "--gate", "--quiet") == 2
    assert "it raised SystemExit(0)" in capsys.readouterr().err


def test_the_store_can_be_named_by_the_environment(tiny, monkeypatch):
    monkeypatch.setitem(os.environ, "CRBENCH_STORE", str(tiny.folder / "elsewhere"))
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "int8/edge/fidelity.accuracy") == 0
    assert (tiny.folder / "elsewhere" / "cells").is_dir()
    assert not (tiny.folder / ".crbench").exists()

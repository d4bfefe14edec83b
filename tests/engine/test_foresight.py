"""What ``crbench check`` finds that a run would fail on; each is what the run itself then says."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from bench.cli import run_cli

SUITE = """
[data]
loader = "npz"
path = "x.npz"
evaluation = 40
calibration = 20

[reference]
onnx = "float.onnx"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "v"
VARIANT

[[metric]]
use = "fidelity.predictions"
"""
WEIGHT = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


def network(nodes, opset=17, dtype=1, **constants):
    """A file from images (n, 1, 4, 4) to three scores."""
    ports = [helper.make_tensor_value_info(*port) for port in (("x", dtype, ["n", 1, 4, 4]), ("z", dtype, ["n", 3]))]
    made = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in nodes]
    known = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(made, "g", ports[:1], ports[1:], known)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


LINEAR = [("Flatten", ["x"], "f"), ("MatMul", ["f", "w"], "z")]
FILES = {
    "float": network(LINEAR, w=WEIGHT),
    "half": network([("Cast", ["w"], "v"), *LINEAR[:1], ("MatMul", ["f", "v"], "z")], w=WEIGHT.astype(np.float16)),
    "wide": network(LINEAR, w=np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)),
    "bare": network([("Flatten", ["x"], "f"), ("Slice", ["f", "a", "b", "one"], "z")],
                    a=np.array([0]), b=np.array([3]), one=np.array([1])),
    "large": network([*LINEAR[:1], ("Mul", ["f", "k"], "h"), ("Mul", ["h", "k"], "g"), ("MatMul", ["g", "w"], "z")],
                     w=WEIGHT, k=np.float32(1e3)),
    "heavy": network([*LINEAR[:1], ("MatMul", ["f", "u"], "z")], u=WEIGHT * 1e6),
    "scaled": network([*LINEAR[:1], ("Mul", ["f", "k"], "g"), ("MatMul", ["g", "w"], "z")], w=WEIGHT,
                      k=np.float32(1e-3)),
}  # fmt: skip
for node in FILES["half"].graph.node:
    if node.op_type == "Cast":
        node.attribute.append(helper.make_attribute("to", onnx.TensorProto.FLOAT))
FILES["bare"].graph.node[1].input[3] = "one"


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Writes the suite, checks it, answers its lines; the run must fail in the same words."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).random((60, 1, 4, 4), dtype=np.float32)
    np.savez("x.npz", x=x, y=np.arange(60) % 3)
    np.savez("unlabelled.npz", x=x)
    for name, model in FILES.items():
        onnx.save(model, f"{name}.onnx")

    def run(variant, *changes, code=3):
        text = SUITE.replace("VARIANT", variant)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "s.toml").write_text(text)
        before = sorted(path.name for path in tmp_path.iterdir())
        assert run_cli(["check", "s.toml", "--store", "checked"]) == code
        lines = capsys.readouterr().out.splitlines()
        return [line for line in lines if line.startswith(("will fail", "warning: ")) and "blind" not in line], before

    return run


def by(step, file):
    return f'onnx = "{file}.onnx"\nsteps = [{{ use = "{step}" }}]'


STEPS = ("ort-static-quant", "ort-dynamic-quant", "ort-int4", "ort-fp16")


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        *((by(step, "half"), f"step {step}: {step}: the file holds float16 weights already") for step in STEPS),
        (by("ort-static-quant", "bare"), "ort-static-quant: ONNX Runtime found nothing to quantise in the file"),
        (by("ort-dynamic-quant", "bare"), "ort-dynamic-quant: ONNX Runtime found nothing to quantise in the file"),
        (by("ort-int4", "bare"), "no convolution or matrix product in the file has a constant weight"),
        (by("ort-fp16", "large"), "fp16 overflow: 'g' reaches 9.95e+05 on the calibration samples"),
        (by("ort-fp16", "heavy"), "fp16 overflow: the weight 'u' holds 2"),
        ('onnx = "wide.onnx"', "v: loading wide.onnx: "),
    ],
)  # fmt: skip
def test_what_a_file_will_be_refused_for_is_known_before_a_run(check, tmp_path, capsys, variant, message):
    (line,), _ = check(variant)
    assert line.startswith("will fail: v: ")
    assert message in line
    assert not (tmp_path / "checked").exists()  # nothing is stored
    assert run_cli(["run", "s.toml", "--json"]) == 3
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert cell["status"] == "error"
    assert cell["reason"] == line.removeprefix("will fail: v: ")


@pytest.mark.parametrize("step", STEPS)
def test_what_will_work_is_not_warned_of(check, step):
    assert check(by(step, "float"), code=0)[0] == []


def test_an_input_beyond_half_precision_is_refused_by_check_and_by_the_step(check, capsys):
    wide = by("ort-fp16", "scaled") + "\ninput = { scale = 100000 }"
    (warning, failure), _ = check(wide)
    assert warning == (
        "warning: v: fp16 overflow: the bounds [0.0, 1.0] let the network's input reach 1e+05, float16 ends at 65504 "
        "here; declare a smaller scale, or leave ort-fp16 out"
    )
    assert "fp16 overflow: 'x' reaches 9.95e+04 on the calibration samples" in failure
    assert run_cli(["run", "s.toml", "--json"]) == 3
    assert "fp16 overflow: 'x' reaches" in json.loads(capsys.readouterr().out)["cells"][0]["reason"]
    near = by("ort-fp16", "scaled") + "\ninput = { scale = 60000 }"
    assert check(near, code=0)[0] == []
    tight = near.replace('"ort-fp16"', '"ort-fp16", headroom = 2')
    assert any("float16 ends at 32752 here" in line for line in check(tight)[0])


def test_a_network_from_the_store_is_tried_too(measured, capsys):
    """An exported reference of one run; the next suite asks of it what overflows."""
    before = sorted(path.name for path in (measured.folder / ".crbench" / "networks").rglob("*"))
    measured.write('{ use = "ort-static-quant" }', '{ use = "ort-fp16", headroom = 65504 }')
    capsys.readouterr()
    assert measured.run("check", "tiny.toml") == 3
    failing = [line for line in capsys.readouterr().out.splitlines() if line.startswith("will fail")]
    assert len(failing) == 1
    assert failing[0].startswith("will fail: int8: step ort-fp16: ort-fp16: fp16 overflow: ")
    assert sorted(path.name for path in (measured.folder / ".crbench" / "networks").rglob("*")) == before


def test_what_is_to_be_trained_first_is_not_guessed(tiny, capsys):
    tiny.write('{ use = "ort-static-quant" }', '{ use = "ort-fp16", headroom = 65504 }')
    assert tiny.run("check", "tiny.toml") == 0
    assert "will fail" not in capsys.readouterr().out


def test_labels_and_training_samples_that_are_not_there(check, tmp_path):
    (tmp_path / "foreseen_nets.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))\n"
    )
    trained = 'steps = [{ use = "finetune", epochs = 1 }]', ('onnx = "float.onnx"\n\n[[t', (
        'factory = "foreseen_nets:make"\n\n[[t'
    ))  # fmt: skip
    lines, _ = check(*trained)
    assert lines == ["will fail: v: step finetune trains, and the data leaves no samples for training"]
    gated = ('"fidelity.predictions"', '"fidelity.accuracy"\ngate = [{ value = "accuracy", max_harm = 0.1 }]')
    unlabelled = ('"x.npz"', '"unlabelled.npz"\nclasses = ["a", "b", "c"]')
    lines, _ = check(by("ort-fp16", "float"), gated, unlabelled, code=0)
    said = "warning: fidelity.accuracy is gated and needs labels, the data has none: it is skipped, and --gate exits 3"
    assert lines == [said]
    accepted = ("[data]", 'not_applicable = ["v"]\n\n[data]')
    assert check(by("ort-fp16", "float"), gated, unlabelled, accepted, code=0)[0] == []

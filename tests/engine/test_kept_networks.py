"""Networks that steps trained are kept beside the reference's weights: no processor trains another one."""

import shutil

import pytest
from safetensors.torch import load, save

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.digits import Digits
from bench.engine.kept_networks import kept_bytes, load_kept
from bench.engine.planning import plan_suite
from bench.errors import UserError
from bench.suite.load import load_suite
from bench.suite.planned_networks import chain
from bench.suite.planned_variants import kept_name, trains

VARIANTS = """
[[variant]]
name = "more"
steps = [{ use = "finetune", epochs = 1 }]

[[variant]]
name = "more-still"
steps = [{ use = "finetune", epochs = 1 }, { use = "finetune", epochs = 2 }, { use = "ptq", bits = 8 }]
targets = ["torch"]

[[metric]]
"""


def text_of(tiny):
    return tiny.text.replace('model = "mlp"', 'model = "mlp"\nweights = "kept"').replace("[[metric]]", VARIANTS, 1)


@pytest.fixture
def kept(tiny):
    """The tiny suite with trained variants, all of them kept, and an empty store."""
    tiny.write(text=text_of(tiny))
    assert tiny.run("weights", "tiny.toml", "--quiet") == 0
    shutil.rmtree(tiny.folder / ".crbench")
    return tiny


def values(results):
    return {f"{cell['variant']}/{cell['target']}/{cell['metric']}": cell["values"] for cell in results["cells"]}


def test_kept_networks_are_measured_instead_of_trained(kept, monkeypatch):
    files = sorted(path.name for path in (kept.folder / "kept").iterdir())
    names = [name.removesuffix(".safetensors").rpartition("-")[0] for name in files]
    assert names == ["finetune"] * 2 + [""] + ["weight-noise"] + ["yardstick"] * 4
    with monkeypatch.context() as patched:
        patched.setattr("bench.compression.distillation.train_on", lambda *_: pytest.fail("trained"))
        patched.setattr("bench.models.training.train", lambda *_: pytest.fail("trained"))
        assert kept.run("run", "tiny.toml", "--quiet") == 0
    measured = values(kept.results())
    assert len(measured) == 18
    for name in files[:2]:
        (kept.folder / "kept" / name).unlink()
    assert kept.run("run", "tiny.toml", "--quiet") == 0  # trains; on one machine that is the same network
    assert values(kept.results()) == measured


def test_another_step_is_trained_and_kept_beside_the_old_one(kept, capsys):
    kept.write(text=text_of(kept).replace("epochs = 2", "epochs = 3"))
    assert kept.run("weights", "tiny.toml", "--variants") == 0
    told = capsys.readouterr().out.strip().splitlines()
    assert len(told) == 1
    assert "finetune-" in told[0]
    assert kept.run("weights", "tiny.toml", "--variants") == 0
    assert capsys.readouterr().out == ""


def test_what_a_kept_network_hangs_on(kept, monkeypatch):
    def planned():
        plan = plan_suite(load_suite(kept.folder / "tiny.toml")).plan
        return {name: list(chain(node)) for (name, _), node in plan.variants.items()}

    before = planned()
    first, second = before["more"][0], before["more-still"][1]
    assert trains(first)
    assert first.weights is not None
    assert first.key == before["more-still"][2].key
    assert second.weights is not None
    monkeypatch.setattr("bench.suite.planned_networks.package_versions", lambda names: dict.fromkeys(names, "other"))
    after = planned()
    assert (after["more"][0].key, after["more-still"][1].key) == (first.key, second.key)
    assert after["more-still"][0].key != before["more-still"][0].key  # ptq runs here, with other packages
    content = first.weights.read_bytes()
    first.weights.write_bytes(second.weights.read_bytes())
    assert planned()["more"][0].key != first.key
    first.weights.write_bytes(content)
    kept.write(text=text_of(kept).replace("evaluation = 150", "evaluation = 151"))  # other samples to train on
    assert planned()["more"][0].weights is None
    kept.write(text=text_of(kept))
    shutil.copy(kept.folder / "kept" / "yardstick-1.safetensors", kept.folder / "kept" / "reference.safetensors")
    assert planned()["more"][0].weights is None


DAMAGE = {
    "junk": lambda blob: b"\x80\x04junk",
    "cut": lambda blob: blob[: len(blob) // 2],
    "without a record": lambda blob: blob.replace(b"__metadata__", b"__somethings"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_a_line_with_what_to_do(kept, damage):
    path = next((kept.folder / "kept").glob("finetune-*"))
    path.write_bytes(damage(path.read_bytes()))
    assert kept.run("run", "tiny.toml", "--quiet", "--only", "more*/torch/fidelity.accuracy") == 3
    reasons = {cell["reason"] for cell in kept.results()["cells"] if cell["status"] == "error"}
    assert reasons
    for reason in reasons:
        assert path.name in reason
        assert "crbench weights SUITE --variants" in reason


def test_weights_of_another_shape_are_refused(networks, tmp_path):
    data = Digits().load(100, 64)
    step = steps.get("finetune")(epochs=1)
    reference = networks["reference"]
    made = run_step(step, reference, StepContext(data.train.take(slice(0, 64)), data.calibration, None, 0))
    path = tmp_path / "finetune-0.safetensors"
    path.write_bytes(kept_bytes(made))
    again = load_kept(path, step, made.kind, reference)
    assert again.record == made.record
    state = load(path.read_bytes())
    name = next(iter(state))
    state[name] = state[name].repeat(2, *[1] * (state[name].ndim - 1))
    path.write_bytes(save(state, metadata={"record": "{}"}))
    with pytest.raises(UserError, match="weights"):
        load_kept(path, step, made.kind, reference)


def test_names_say_the_step():
    suite = "suites/digits-gate.toml"
    plan = plan_suite(load_suite(suite)).plan
    trained = {node.key: node for last in plan.variants.values() for node in chain(last) if trains(node)}
    assert len(trained) == 8
    assert all(node.weights is not None and node.weights.name == kept_name(node) for node in trained.values())

"""Whole runs of a tiny suite: results, reuse, resumption, failures."""

import json
import math
import shutil
import signal

import pytest

import bench
from bench.errors import UserError
from bench.probes.logits import Logits
from bench.results import Results
from bench.study import Study


def label(cell):
    return f"{cell['variant']}/{cell['target']}/{cell['metric']}"


def fresh(results):
    return {label(cell) for cell in results["cells"] if not cell["cached"]}


def gap_of(change, value):
    """A change on the yardsticks' scale."""
    return (change / math.prod(value["yardsticks"]) ** (1 / len(value["yardsticks"]))) ** (1 / value["power"])


def numbers(results):
    """Everything measured: all but times and what was reused."""
    cells = [{k: v for k, v in cell.items() if k not in ("seconds", "cached")} for cell in results["cells"]]
    return json.dumps([cells, results["variants"], results["verdict"]], sort_keys=True)


def test_results_hold_every_cell_with_intervals_and_reasons(measured):
    results = measured.results()
    Results.model_validate(results)
    assert len(results["cells"]) == 9  # noise on both targets, int8 on edge alone, three metrics each
    for cell in results["cells"]:
        assert cell["status"] == "ok", cell
        assert cell["reason"] == ""
        through_twin = cell["target"] == "edge" and cell["metric"] == "adversarial.pgd"
        assert (cell["parity"] is not None) == through_twin
        for figures in (cell["parity"] or {}).values():
            assert figures["argmax_agreement"] == 1, cell
        for name, value in cell["values"].items():
            assert value["ci"] is not None or value["reason"], (label(cell), name)
            if name.endswith("_worst_class"):
                assert (value["yardsticks"], value["gap"]) == ([], None)
            elif value["kind"] == "change":
                assert len(value["yardsticks"]) == 4
                assert value["power"] in (1, 2)
                if value["gap"] is not None:
                    assert value["gap"] == pytest.approx(gap_of(value["estimate"], value)), (label(cell), name)
                    assert value["yardstick_gaps"] == pytest.approx([gap_of(m, value) for m in value["yardsticks"]])
                assert value["gap"] is not None or value["reason"], (label(cell), name)
    families = {v["name"] + v["target"]: v["families"] for v in results["variants"]}
    assert families["noisetorch"]["fidelity"]["gap"] > 0
    assert families["noisetorch"]["fidelity"]["headline"] == {
        "metric": "fidelity.predictions", "params": {}, "value": "js"
    }  # fmt: skip
    assert (measured.folder / "reports/tiny/index.html").read_text().count("<html") == 1
    assert {path.name for path in measured.folder.iterdir()} == {"tiny.toml", ".crbench", "reports"}


def test_a_repeated_run_measures_nothing_and_says_the_same(measured, monkeypatch):
    before = measured.results()
    monkeypatch.setattr(Logits, "ask", lambda *_: pytest.fail("asked again"))
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    after = measured.results()
    assert fresh(after) == set()
    assert after["run"]["reused"] == 9
    assert numbers(after) == numbers(before)


def test_two_cold_runs_agree_bit_by_bit(measured):
    before = numbers(measured.results())
    shutil.rmtree(measured.folder / ".crbench")
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert fresh(measured.results()) == {label(cell) for cell in measured.results()["cells"]}
    assert numbers(measured.results()) == before


METRICS = ("fidelity.predictions", "fidelity.accuracy", "adversarial.pgd")
ATTACKS = {"noise/torch/adversarial.pgd", "noise/edge/adversarial.pgd", "int8/edge/adversarial.pgd"}
NOISE = {f"noise/{target}/{metric}" for target in ("torch", "edge") for metric in METRICS}
EDGE = {f"{variant}/edge/{metric}" for variant in ("noise", "int8") for metric in METRICS}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("epsilon = 0.05", "epsilon = 0.1", ATTACKS),
        ("samples = 20", "samples = 30", ATTACKS),
        ("sigma = 0.3", "sigma = 0.2", NOISE),
        ('runtime = "onnxruntime"', 'runtime = "onnxruntime"\noptimisation = "basic"', EDGE),
        ("max_harm = 0.5", "max_harm = 0.4", set()),
        ('name = "noise"', 'name = "renamed"', set()),
        ('name = "tiny"', 'name = "tiny"\n# a comment', set()),
    ],
)
def test_a_change_of_one_thing_redoes_exactly_the_right_cells(measured, old, new, expected):
    measured.write(old, new)
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert fresh(measured.results()) == expected


@pytest.mark.parametrize(("old", "new"), [("epochs = 4", "epochs = 3"), ("[data]", "seed = 1\n[data]")])
def test_another_reference_or_seed_redoes_everything(measured, old, new):
    def keys():
        study = Study("tiny.toml")
        return [(cell.key, {item.key for item in cell.every()}, study.known(cell)) for cell in study.plan.cells]

    before = keys()
    assert all(known for _, _, known in before)
    measured.write(old, new)
    after = keys()
    assert len(after) == 9
    assert not any(known for _, _, known in after)
    assert not set().union(*(asked for _, asked, _ in before)) & set().union(*(asked for _, asked, _ in after))


def test_references_and_yardsticks_are_observed_once_not_once_a_variant(tiny, monkeypatch):
    seen = []
    original = Logits.ask

    def count(self, predictor, samples, context):
        seen.append(predictor.spec.target.name)
        return original(self, predictor, samples, context)

    monkeypatch.setattr(Logits, "ask", count)
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "*/fidelity.*") == 0
    assert seen.count("torch") == 1 + 1 + 4 + 1  # reference, its floor, yardsticks, noise
    assert seen.count("edge") == 1 + 1 + 4 + 2


def test_interrupted_work_is_kept(tiny, monkeypatch, capsys):
    original = Logits.ask

    def interrupt(self, predictor, samples, context):
        if predictor.spec.target.name == "edge":
            signal.raise_signal(signal.SIGINT)  # one that code raises itself would be that code's error
        return original(self, predictor, samples, context)

    with monkeypatch.context() as patch:
        patch.setattr(Logits, "ask", interrupt)
        assert tiny.run("run", "tiny.toml", "--quiet", "--only", "*/fidelity.*") == 3
    assert "interrupted" in capsys.readouterr().err
    assert not (tiny.folder / "reports").exists()
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "*/fidelity.*") == 0
    assert "noise/torch/fidelity.predictions" not in fresh(tiny.results())
    assert "noise/edge/fidelity.predictions" in fresh(tiny.results())


def test_a_variant_that_fails_is_an_error_cell_and_the_others_run(tiny, monkeypatch, capsys):
    import bench.compression.weight_noise as weight_noise

    def fail(*arguments, **named):
        raise RuntimeError("the weights\nescaped")

    with monkeypatch.context() as patch:
        patch.setattr(weight_noise.WeightNoise, "apply", fail)
        assert tiny.run("run", "tiny.toml") == 3
    shown = capsys.readouterr()
    assert "the weights escaped" in shown.out
    assert "Traceback" not in shown.err
    cells = {label(cell): cell for cell in tiny.results()["cells"]}
    assert cells["noise/torch/fidelity.accuracy"]["status"] == "error"
    assert "RuntimeError: the weights escaped" in cells["noise/torch/fidelity.accuracy"]["reason"]
    assert cells["int8/edge/fidelity.accuracy"]["status"] == "ok"
    assert tiny.results()["verdict"]["ship"] is not True
    # an error is never a cached success: reported again without measuring, measured again when asked
    assert tiny.run("run", "tiny.toml", "--quiet", "--rerun", "never") == 3
    assert tiny.run("run", "tiny.toml", "--quiet") == 0
    assert all(name.startswith("noise/") for name in fresh(tiny.results()))


def test_nan_of_a_variant_is_an_error_not_a_number(tiny, monkeypatch):
    original = Logits.ask

    def poison(self, predictor, samples, context):
        found = original(self, predictor, samples, context)
        if predictor.network.record.get("step") == "weight-noise":
            found.arrays["log_probabilities"].flat[0] = float("nan")
        return found

    monkeypatch.setattr(Logits, "ask", poison)
    assert tiny.run("run", "tiny.toml", "--quiet") == 3
    cells = {label(cell): cell for cell in tiny.results()["cells"]}
    assert cells["noise/torch/fidelity.predictions"]["status"] == "error"
    assert "NaN" in cells["noise/torch/fidelity.predictions"]["reason"]
    assert cells["noise/torch/adversarial.pgd"]["status"] == "ok"  # it asks for itself
    assert cells["int8/edge/fidelity.accuracy"]["status"] == "ok"


def test_only_and_shard_choose_cells(measured, capsys):
    assert measured.run("run", "tiny.toml", "--quiet", "--only", "int8") == 0
    assert {cell["variant"] for cell in measured.results()["cells"]} == {"int8"}
    labels = []
    for part in ("1/2", "2/2"):
        assert measured.run("run", "tiny.toml", "--quiet", "--shard", part) in (0, 3)
        labels += [label(cell) for cell in measured.results()["cells"]]
    assert len(labels) == len(set(labels)) == 9
    assert measured.run("run", "tiny.toml", "--only", "nothing*") == 2
    assert "--only: no cell matches 'nothing*'" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"only: no cell matches 'nothing\*'"):
        bench.run("tiny.toml", only="nothing*")


def test_gate_decides_the_exit_code(measured):
    text = measured.text.replace("sigma = 0.3", "sigma = 9.0")
    measured.write("max_harm = 0.5", "max_harm = 0.05", text)
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert measured.run("run", "tiny.toml", "--quiet", "--gate") == 1
    assert measured.results()["verdict"]["ship"] is False


def test_json_is_the_whole_standard_output(measured, capsys):
    assert measured.run("run", "tiny.toml", "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["schema"] == 2
    assert shown.err == ""


def test_replicates_train_the_chain_anew_and_five_give_a_recipe_interval(tiny):
    tiny.write('name = "tiny"', 'name = "tiny"\nreplicates = 5')
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "noise/torch/fidelity*") == 0
    cells = [cell for cell in tiny.results()["cells"] if cell["metric"] == "fidelity.predictions"]
    assert [cell["replicate"] for cell in cells] == [0, 1, 2, 3, 4, None]
    single = [cell["values"]["js"]["estimate"] for cell in cells[:5]]
    assert len(set(single)) == 5
    recipe = cells[5]["values"]["js"]
    assert recipe["scope"] == "recipe"
    assert recipe["interval"] == "t"
    assert recipe["estimate"] == pytest.approx(sum(single) / 5)
    assert recipe["ci"][0] < recipe["estimate"] < recipe["ci"][1]


def test_kept_weights_are_measured_instead_of_trained(tiny, capsys, monkeypatch):
    text = tiny.text.replace('model = "mlp"', 'model = "mlp"\nweights = "kept"')
    tiny.write(text=text)
    assert tiny.run("run", "tiny.toml") == 2
    assert "no file reference.safetensors in" in capsys.readouterr().err
    assert tiny.run("weights", "tiny.toml", "--quiet") == 0
    names = {path.name for path in (tiny.folder / "kept").iterdir() if not path.name.startswith("weight-noise-")}
    assert names == {"reference.safetensors", *(f"yardstick-{index}.safetensors" for index in range(1, 5))}
    shutil.rmtree(tiny.folder / ".crbench")
    monkeypatch.setattr("bench.models.training.train", lambda *_: pytest.fail("trained"))
    assert tiny.run("run", "tiny.toml", "--quiet") == 0
    kept = {label(cell): cell["values"] for cell in tiny.results()["cells"]}
    monkeypatch.undo()
    monkeypatch.chdir(tiny.folder)
    tiny.write()
    assert tiny.run("run", "tiny.toml", "--quiet") == 0
    assert {label(cell): cell["values"] for cell in tiny.results()["cells"]} == kept
    (tiny.folder / "kept" / "yardstick-2.safetensors").write_bytes(b"\x80\x04junk")
    tiny.write(text=text)
    assert tiny.run("run", "tiny.toml") == 2
    assert "yardstick-2.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["../kept", "link/kept", "kept/../../kept", "ABSOLUTE"])
def test_weights_are_written_beside_their_suite_alone(tiny, capsys, tmp_path_factory, folder):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (tiny.folder / "link").symlink_to(elsewhere)
    folder = str(elsewhere / "kept") if folder == "ABSOLUTE" else folder
    before = sorted(tiny.folder.parent.iterdir())
    tiny.write('model = "mlp"', f'model = "mlp"\nweights = "{folder}"')
    assert tiny.run("weights", "tiny.toml", "--quiet") == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("crbench: reference.weights: ")
    assert said[0].endswith("name a folder beside the suite")
    assert not list(elsewhere.iterdir())
    assert sorted(tiny.folder.parent.iterdir()) == before
    assert not (tiny.folder / ".crbench").exists()

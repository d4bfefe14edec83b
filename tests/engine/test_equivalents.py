"""Deep-ensemble equivalents in a run: a pool of kept networks, beside an ensemble and its compressed variants."""

from __future__ import annotations

import shutil
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from bench.errors import UserError
from bench.functional.members.ensemble_curve import ensemble_curve
from bench.functional.members.ensemble_equivalent import ensemble_equivalent
from bench.gate.exit_codes import incomplete
from bench.report.html import render_html
from bench.report.terminal import render
from bench.results import Results
from bench.study import Study, write_weights
from bench.suite.equivalents import equivalents, plan_pool
from bench.suite.load import load_suite
from tests.suite.documents import problems, write

SUITE = """
name = "worth"
seed = 3

[data]
loader = "npz"
path = "x.npz"
evaluation = 400
calibration = 40
bounds = [-10.0, 10.0]
classes = ["0", "1", "2"]

[reference]
model = "mlp"
hidden = [6]
recipe = { epochs = 8, batch = 16, learning_rate = 0.03 }
method = { use = "deep-ensemble", members = 3 }

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "same"
steps = []

[[variant]]
name = "broken"
targets = ["torch"]
steps = [{ use = "finetune", epochs = 2 }, { use = "weight-noise", sigma = 0.9 }]

[[metric]]
use = "fidelity.accuracy"
samples = 20

[[metric]]
use = "cost"
rounds = 1
warmup = 0

[[equivalent]]
name = "pool"
networks = 8
samples = 300
"""


STEPS = '''
from bench.compression.base import Step
from bench.registry import parameters

@parameters
class Fails(Step):
    """Always."""

    def apply(self, network, context):
        raise RuntimeError("no such network")
'''


def fill(made):
    write(made, STEPS, "steps_of_equivalents.py")
    random = np.random.default_rng(0)
    x = random.normal(size=(600, 4)).astype(np.float32)
    y = (x[:, 0] + 0.7 * random.normal(size=600) > 0).astype(int) + (x[:, 1] > 0.8)
    np.savez(made / "x.npz", x=x, y=y)
    np.savez(made / "unlabelled.npz", x=x)


def rows(results):
    (found,) = results.equivalents
    return {(row.name, row.target): row for row in found.networks}


def observed(study, item):
    return study.engine.observations.get(item)


def test_figures_are_those_of_the_pure_functions_on_the_same_networks(study, results):
    (planned,) = equivalents(study.planned.planner, study.plan)
    pool = np.stack([observed(study, item).arrays["log_probabilities"] for item in planned.pool])
    assert pool.shape == (8, 300, 3)
    samples = study.engine.observations.samples(300)
    curve = ensemble_curve(pool, samples.y, samples.ids, seed=3)
    (found,) = results.equivalents
    assert (found.status, found.samples, found.pool) == ("ok", 300, 8)
    assert np.allclose([point.calibrated_nll for point in found.curve], -curve.means(), rtol=0, atol=1e-12)
    assert all(point.least <= point.calibrated_nll <= point.most for point in found.curve)
    for item in planned.compared:
        log_p = observed(study, item.logits).arrays["log_probabilities"]
        expected, row = ensemble_equivalent(curve, log_p, seed=3), rows(results)[item.name, item.target.name]
        assert (row.equivalent, *row.ci) == (expected.estimate, expected.low, expected.high)
        censored = (expected.estimate_censored, expected.low_censored, expected.high_censored)
        assert (row.censored, *row.ci_censored) == censored


def test_reference_and_variants_on_their_targets_with_their_costs(results):
    found = rows(results)
    assert set(found) == {
        ("reference", "torch"), ("reference", "edge"), ("same", "torch"), ("same", "edge"), ("broken", "torch"),
    }  # fmt: skip
    costs = {
        (cell.variant, cell.target): cell.values
        for cell in results.cells
        if cell.metric == "cost"
    }  # fmt: skip
    for (name, target), values in costs.items():
        row = found[name, target]
        assert (row.file_bytes, row.macs) == (values["file_bytes"].variant, values["macs"].variant)
    assert found["broken", "torch"].censored == "below"
    assert found["same", "torch"].equivalent == found["reference", "torch"].equivalent
    assert found["reference", "torch"].equivalent > 1


def test_what_making_them_took_adds_up_along_a_chain(study, results):
    found, networks = rows(results), study.engine.networks
    reference = found["reference", "torch"].cpu_seconds
    assert reference > 0
    (planned,) = equivalents(study.planned.planner, study.plan)
    broken = next(item.logits.network for item in planned.compared if item.name == "broken")
    steps = [study.engine.store.get("networks", node.key).content["cpu_seconds"] for node in (broken, broken.parent)]
    assert found["broken", "torch"].cpu_seconds == pytest.approx(reference + sum(steps))
    assert networks.effort(replace(broken, parent=replace(broken.parent, weights="kept"))) == (None, None)


def test_epochs_are_those_of_the_recipe_and_of_every_member_and_step(study, results):
    found, recipe = rows(results), study.suite.reference.recipe
    members = study.suite.reference.method.members
    assert found["reference", "torch"].epochs == found["same", "edge"].epochs == members * recipe.epochs
    assert found["broken", "torch"].epochs == members * recipe.epochs + 2  # all members at once


def test_the_pool_is_apart_from_every_other_network(study):
    (section,) = study.suite.equivalents
    keys = {node.key for node in plan_pool(study.suite, section, study.planned.planner.splits)}
    assert len(keys) == 8
    seeds = {node.seed for node in plan_pool(study.suite, section, study.planned.planner.splits)}
    single = replace(study.suite, reference=replace(study.suite.reference, method=None))
    marked = Study(replace(single, yardstick=replace(single.yardstick, retrained=4)), "store").plan
    others = [*marked.references, *marked.yardsticks]
    assert not keys & {node.key for node in others}
    assert not seeds & {node.seed for node in others}


def test_a_second_run_reuses_it_and_another_seed_does_not(folder, study, results, monkeypatch):
    again = Study(folder / "suite.toml", folder / "store")
    with monkeypatch.context() as patch:
        patch.setattr("bench.engine.equivalents.ensemble_curve", None)
        (found,) = again.run().equivalents
    assert found.cached
    assert found.networks == results.equivalents[0].networks
    (first,), (other,) = (
        equivalents(made.planned.planner, made.plan)
        for made in (again, Study(replace(again.suite, seed=4), folder / "store"))
    )
    assert first.key != other.key


def test_kept_pools_give_the_same_figures(folder, results):
    text = SUITE.replace("networks = 8", 'networks = 8\nweights = "kept/pool"')
    path = write(folder, text, "kept.toml")
    written = write_weights(path, str(folder / "store"))
    assert [item.name for item, _ in written] == [f"network-{index}.safetensors" for index in range(1, 9)]
    assert write_weights(path, str(folder / "store")) == []
    found = rows(Study(path, folder / "store").run())
    assert {key: row.equivalent for key, row in found.items()} == {
        key: row.equivalent for key, row in rows(results).items()
    }
    (folder / "kept" / "pool" / "network-4.safetensors").unlink()
    with pytest.raises(UserError, match=r"equivalent.weights: no file network-4.safetensors .*crbench weights"):
        Study(path, folder / "store").run()
    shutil.rmtree(folder / "kept")


def test_a_folder_elsewhere_is_refused(folder):
    path = write(folder, SUITE.replace("networks = 8", 'weights = "../pool"'), "elsewhere.toml")
    with pytest.raises(UserError, match=r"equivalent pool.weights: .*not in the folder of elsewhere.toml"):
        write_weights(path, str(folder / "store"))


def test_without_labels_it_is_skipped(folder):
    text = SUITE.replace("networks = 8", 'networks = 8\nweights = "labelled"')
    text = text.replace('model = "mlp"', 'model = "mlp"\nweights = "labelled"')
    write_weights(write(folder, text, "labelled.toml"), str(folder / "store"))
    text = text.replace("x.npz", "unlabelled.npz").replace("fidelity.accuracy", "fidelity.predictions")
    (found,) = Study(write(folder, text, "unlabelled.toml"), folder / "store").run().equivalents
    assert (found.status, found.reason) == ("skipped", "the samples have no labels")


def test_a_network_that_cannot_be_made_is_a_row_with_the_reason(folder):
    text = SUITE.replace('use = "weight-noise", sigma = 0.9', 'use = "steps_of_equivalents:Fails"')
    results = Study(write(folder, text, "fails.toml"), folder / "store").run()
    found = rows(results)
    assert found["broken", "torch"].status == "error"
    assert "no such network" in found["broken", "torch"].reason
    assert found["same", "torch"].status == "ok"


def test_a_pool_that_diverges_is_an_error_of_the_run(folder):
    text = SUITE.replace("learning_rate = 0.03", "learning_rate = 1e30")
    text = text.replace('method = { use = "deep-ensemble", members = 3 }', "")
    results = Study(write(folder, text, "diverges.toml"), folder / "store").run()
    (found,) = results.equivalents
    assert found.status == "error"
    assert "epoch" in found.reason
    assert any(line.startswith("deep-ensemble equivalents pool: ") for line in incomplete(results))


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("networks = 8", "networks = 3", "equivalent[0].networks", "4"),
        ("samples = 300", "samples = 401", "equivalent[0].samples", "more than the 400"),
        ("samples = 300", 'variants = ["brokn"]', "equivalent[0].variants[0]", "no variant 'brokn'"),
        (
            'model = "mlp"\nhidden = [6]\nrecipe = { epochs = 8, batch = 16, learning_rate = 0.03 }\n'
            'method = { use = "deep-ensemble", members = 3 }',
            'factory = "torch.nn:Identity"',
            "equivalent[0]",
            "not trained here",
        ),
    ],
)
def test_what_is_wrong_is_said_where(folder, old, new, where, what):
    assert old in SUITE
    found = problems(write(folder, SUITE.replace(old, new), "wrong.toml"))
    assert any(problem.where.endswith(where) and what in problem.what for problem in found), found


def drawn(results):
    console = Console(file=StringIO(), width=120, color_system=None)
    render(results, console)
    return console.file.getvalue()


def test_reports_show_what_each_is_worth(results):
    row = rows(results)["reference", "torch"]
    megabytes = f"{row.equivalent / row.file_bytes * 1e6:.0f}"
    for page in (drawn(results), render_html(results)):
        assert f"{row.equivalent:.1f}" in page
        assert f"{row.calibrated_nll:.4f}" in page
        assert megabytes in page
        assert "&lt; 1" in page or "< 1" in page
    assert str(round(results.equivalents[0].curve[3].most, 4)) in render_html(results)


def test_hostile_names_stay_text(results):
    content = results.model_dump(mode="json", by_alias=True)
    content["equivalents"][0]["name"] = "<script>alert(1)</script>"
    content["equivalents"][0]["networks"][1]["reason"] = "<b>why</b>"
    page = render_html(Results.model_validate(content))
    assert "<script>alert" not in page
    assert "<b>why" not in page
    assert "&lt;b&gt;why" in page


def test_the_plan_of_a_suite_without_sections_is_empty(folder):
    text = SUITE[: SUITE.index("[[equivalent]]")]
    assert load_suite(write(folder, text, "without.toml")).equivalents == ()

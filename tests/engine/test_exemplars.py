"""Exemplars over ten networks a side: a variant that forgets one class, too few networks, and every report."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from bench.report.html import render_html
from bench.report.terminal import render
from bench.results import ExemplarsResult, Results
from bench.study import Study
from bench.suite.load import load_suite
from bench.suite.populations import populations
from tests.suite.documents import write

STEPS = '''
from bench.compression.base import Step
from bench.networks.network import TorchNetwork
from bench.networks.torchscript import copied
from bench.registry import parameters

@parameters
class Forget(Step):
    """Lower one class's bias."""

    label: int
    by: float

    def apply(self, network, context):
        import torch

        made = copied(network.module).eval()
        with torch.no_grad():
            [*made.parameters()][-1][self.label] -= self.by
        return TorchNetwork(made, network.input), {}
'''
SUITE = """
name = "many"
replicates = 10

[data]
loader = "digits"
evaluation = 1200
calibration = 16

[reference]
model = "mlp"
hidden = [16]
recipe = { epochs = 6 }

[[variant]]
name = "forgets"
steps = [{ use = "steps_of_exemplars:Forget", label = 3, by = 4.0 }]

[[variant]]
name = "same"
steps = []

[[metric]]
use = "fidelity.accuracy"
samples = 50

[[exemplars]]
name = "pie"
samples = 300
shown = 3
"""


def fill(made):
    write(made, STEPS, "steps_of_exemplars.py")


def test_the_forgotten_class_is_found(study, results):
    forgets, same = results.exemplars
    assert (forgets.variant, forgets.target, forgets.networks, forgets.n) == ("forgets", "torch", 10, 300)
    labels = dict(zip(study.dataset.evaluation.ids, study.dataset.evaluation.y.tolist(), strict=True))
    threes = [labels[name] == 3 for name in forgets.ids]
    assert forgets.exemplars == len(threes) > 15
    assert np.mean(threes) > 0.6
    assert forgets.share == forgets.exemplars / 300
    assert forgets.ci[0] < forgets.share < forgets.ci[1]
    assert forgets.p_value == 2 / 1024
    assert forgets.by_retraining < forgets.exemplars
    assert forgets.on_exemplars.variant < 0.3 < forgets.on_exemplars.reference
    assert forgets.on_exemplars.n + forgets.on_the_rest.n == 300
    harmed = {item.label: item for item in forgets.classes}["3"]
    assert harmed.harm == max(item.harm for item in forgets.classes) > 0.4
    assert harmed.p_adjusted == pytest.approx(20 / 1024)
    assert harmed.ci[0] > 0
    assert len(forgets.shown) == 3
    assert forgets.shown[0].picture
    assert (same.exemplars, same.p_value, same.share, same.on_exemplars.n) == (0, 1.0, 0.0, 0)
    assert {item.harm for item in same.classes} == {0.0}


def test_figures_follow_from_the_networks_own_answers(study, results):
    """Modal labels counted by hand from the stored logits."""
    planned = populations(study.planned.planner, study.plan)[0]
    sides = []
    for items in (planned.reference, planned.made):
        classes = [study.engine.observations.get(item).arrays["log_probabilities"].argmax(axis=1) for item in items]
        votes = np.stack([np.bincount(column, minlength=10) for column in np.array(classes).T])
        top = votes.max(axis=1)
        sides.append(np.where((votes == top[:, None]).sum(axis=1) > 1, -1, votes.argmax(axis=1)))
    found = (sides[0] != sides[1]) & (sides[0] >= 0) & (sides[1] >= 0)
    assert [study.dataset.evaluation.ids[row] for row in np.flatnonzero(found)] == results.exemplars[0].ids
    assert results.exemplars[0].tied == int(((sides[0] < 0) | (sides[1] < 0)).sum())


def test_a_second_run_reuses_them_and_asks_nothing(folder, results, monkeypatch):
    monkeypatch.setattr("bench.models.training.train", lambda *_: pytest.fail("trained"))
    again = Study(folder / "suite.toml", folder / "store").run()
    assert all(item.cached for item in again.exemplars)
    plain = [item.model_copy(update={"cached": False}) for item in again.exemplars]
    assert plain == results.exemplars


def test_another_name_of_the_same_work_is_reused_under_its_own(folder, results):
    again = Study(write(folder, SUITE.replace('name = "pie"', 'name = "cie"')), folder / "store").run()
    assert [(item.name, item.cached, item.exemplars) for item in again.exemplars] == [
        ("cie", True, item.exemplars) for item in results.exemplars
    ]
    write(folder, SUITE)


def test_a_part_of_a_run_holds_its_part(study):
    assert [item.variant for item in study.run(only="same").exemplars] == ["same"]
    parts = [study.run(shard=(number, 2)).exemplars for number in (1, 2)]
    assert sorted(item.variant for part in parts for item in part) == ["forgets", "same"]


def test_reports_show_them(results):
    results = Results.model_validate(results.model_dump(by_alias=True))
    page = render_html(results)
    section = page.partition('id="h-exemplars"')[2].partition("</section>")[0]
    assert section.count("data:image/png;base64") == 3
    assert f"{results.exemplars[0].exemplars} of 300 samples" in section
    assert f"{results.exemplars[0].exemplars - 3} more in results.json" in section
    console = Console(width=200, record=True, file=StringIO())
    render(results, console)
    text = console.export_text()
    assert re.search(r"recall surely falls more than accuracy: 3 \(\+\d", text)
    assert "in no class does recall surely fall" in text


def test_hostile_names_stay_text(results):
    results = Results.model_validate(results.model_dump(by_alias=True))
    results.exemplars[0].classes[0].label = results.exemplars[0].shown[0].sample = "<script>alert()</script>"
    section = render_html(results).partition('id="h-exemplars"')[2].partition("</section>")[0]
    assert "<script>" not in section
    assert "&lt;script&gt;" in section


def planned(folder, **changed):
    suite = replace(load_suite(write(folder, SUITE)), **changed)
    study = Study(suite, folder / "store")
    return populations(study.planned.planner, study.plan)


def test_yardsticks_count_with_the_same_chain_on_each(folder):
    suite = load_suite(write(folder, SUITE))
    found = planned(folder, replicates=4, yardstick=replace(suite.yardstick, retrained=6))[0]
    assert len(found.pairs) == 10
    assert not found.too_few
    assert len({pair.reference.key for pair in found.pairs} | {pair.variant.key for pair in found.pairs}) == 20
    for pair in found.pairs:
        assert pair.variant.parent.key == pair.reference.key
        assert pair.variant.step.name == "steps_of_exemplars:Forget"


def test_too_few_are_skipped_with_what_would_be_enough(folder, tmp_path):
    suite = load_suite(write(folder, SUITE))
    fewer = planned(folder, replicates=3, yardstick=replace(suite.yardstick, retrained=4))[0]
    assert fewer.too_few == "7 networks a side, 10 are needed: give replicates = 6 beside the 4 yardsticks"
    assert list(fewer.every()) == []
    noisy = planned(folder, replicates=9, yardstick=replace(suite.yardstick, weight_noise_sigma=0.1))[0]
    assert noisy.too_few.startswith("9 networks a side, 10 are needed (copies with weight noise")
    result = Study(replace(suite, replicates=1), tmp_path / "store").run().exemplars[0]
    assert (result.status, result.networks, result.exemplars) == ("skipped", 1, None)
    assert result.reason == "1 network a side, 10 are needed: give replicates = 10"


def test_a_network_that_fails_is_an_error_with_its_reason(folder, tmp_path):
    text = SUITE.replace("label = 3", "label = 99")
    study = Study(write(tmp_path, text), folder / "store")
    (forgets, same) = study.run().exemplars
    assert (forgets.status, same.status) == ("error", "ok")
    assert "99" in forgets.reason


BAD = {
    'variants = ["forgot*"]': ("exemplars[0].variants[0]", "no variant 'forgot*'"),
    'targets = ["edge"]': ("exemplars[0].targets[0]", "no target 'edge'"),
    "samples = 1400": ("exemplars[0].samples", "1400 are more than the 1200 evaluation samples"),
    "shown = -1": ("exemplars[0].shown", "-1 is below 0"),
    "pictures = 3": ("exemplars[0].pictures", "unknown key"),
}


@pytest.mark.parametrize("line", BAD)
def test_what_is_wrong_is_said_where(folder, line):
    from bench.errors import UserError

    with pytest.raises(UserError) as caught:
        load_suite(write(folder, SUITE.replace("samples = 300\nshown = 3", line), "bad.toml"))
    where, what = BAD[line]
    (problem,) = caught.value.problems
    assert problem.where == where
    assert what in problem.what


def test_a_run_with_an_error_is_incomplete(results):
    from bench.gate.exit_codes import incomplete

    assert incomplete(results) == []
    broken = results.model_copy()
    broken.exemplars = [ExemplarsResult(name="e", variant="v", target="t", status="error", reason="why")]
    assert incomplete(broken) == ["exemplars of v (t): why"]

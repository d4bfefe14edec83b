"""Transfer matrices: closed forms on linear networks, digits with an int8 file and yardsticks, and every report."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from bench.errors import UserError
from bench.probes.adversarial_inputs import AdversarialInputs
from bench.report.html import render_html
from bench.report.terminal import render
from bench.results import Results
from bench.stats.proportions import clopper_pearson
from bench.study import Study
from bench.suite.load import load_suite
from bench.suite.transfers import transfers
from tests.suite.documents import write

FEATURES, EPSILON = 6, 0.25
NETS = f"""
import numpy as np
import torch

def weights(name):
    rows = {{"first": np.eye({FEATURES})[0], "orthogonal": np.eye({FEATURES})[1], "opposite": -np.eye({FEATURES})[0]}}
    rows["scaled"] = 1000 * rows["first"]
    return rows[name] if name in rows else np.random.default_rng(int(name[-1])).normal(size={FEATURES})

def _made(name):
    def make():
        layer = torch.nn.Linear({FEATURES}, 2, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(np.stack([-weights(name), weights(name)]), dtype=torch.float32))
        return layer
    return make

for _name in ("first", "orthogonal", "opposite", "scaled", "random1", "random2"):
    globals()[_name] = _made(_name)

class Hidden(torch.nn.Module):
    def forward(self, x):
        x = x.detach().numpy()
        return torch.from_numpy(np.stack([-x[:, 0], x[:, 0]], axis=1))

def hidden():
    return Hidden()
"""
VARIANTS = ("orthogonal", "opposite", "scaled", "random1", "random2", "hidden")
SUITE = f"""
[data]
loader = "npz"
path = "x.npz"
evaluation = 80
calibration = 0
bounds = [-10.0, 10.0]

[reference]
factory = "transfer_nets:first"

[[target]]
name = "torch"

[[metric]]
use = "fidelity.accuracy"

[[transfer]]
name = "sign"
attacks = ["fgsm"]
epsilon = {EPSILON}
samples = 60
""" + "".join(f'[[variant]]\nname = "{name}"\nfactory = "transfer_nets:{name}"\n' for name in VARIANTS)


def fill(made):
    write(made, NETS, "transfer_nets.py")
    x = np.random.default_rng(0).uniform(-1, 1, (120, FEATURES)).astype(np.float32)
    y = (x[:, 0] + 0.3 * x[:, 1] > 0).astype(int)
    np.savez(made / "x.npz", x=x, y=y)
    np.savez(made / "unlabelled.npz", x=x)


def by_hand(study, labels):
    """The matrix of linear networks: one step of the gradient's sign is x - eps y sign(w)."""
    import transfer_nets

    x = study.dataset.evaluation.x[:60].astype(np.float64)
    sign = np.where(labels == 1, 1.0, -1.0)
    weights = {name: transfer_nets.weights(name) for name in ("first", *VARIANTS) if name != "hidden"}
    weights["hidden"] = weights["first"]
    expected = {}
    for made, w in weights.items():
        if made == "hidden":
            continue
        attacked = np.where((x @ w * sign > 0)[:, None], x - EPSILON * sign[:, None] * np.sign(w), x)
        for judge, v in weights.items():
            both = (x @ w * sign > 0) & (x @ v * sign > 0)
            expected[made, judge] = int(both.sum()), int((attacked[both] @ v * sign[both] < 0).sum())
    return expected


def told(matrix):
    names = ["first" if item.role == "reference" else item.name for item in matrix.networks]
    return {
        (made, judge): (share.n, share.fooled)
        for made, row in zip(names, matrix.matrix, strict=True)
        for judge, share in zip(names, row, strict=True)
        if share.reason == ""
    }


def test_linear_networks_by_hand(study, results):
    (matrix,) = results.transfer
    found, expected = told(matrix), by_hand(study, study.dataset.evaluation.y[:60])
    assert found == {pair: value for pair, value in expected.items() if value[0]}
    n, fooled = found["first", "first"]
    assert 0 < fooled < n
    assert found["first", "scaled"] == found["scaled", "first"] == found["first", "first"]  # equal weights: all of it
    assert found["first", "orthogonal"][1] == found["orthogonal", "first"][1] == 0  # orthogonal ones: nothing
    assert found["first", "hidden"] == found["first", "first"]


def test_intervals_are_exact_and_what_is_missing_says_why(results):
    (matrix,) = results.transfer
    share = matrix.matrix[0][0]
    assert share.ci == clopper_pearson(share.fooled, share.n)[:2]
    assert share.share == share.fooled / share.n
    assert (matrix.status, matrix.samples) == ("ok", 60)
    hidden = [item.name for item in matrix.networks].index("hidden")
    assert matrix.networks[hidden].status == "skipped"
    assert matrix.networks[hidden].reason
    assert {item.reason for item in matrix.matrix[hidden]} == {"no inputs were made"}
    assert all(row[hidden].share is not None for row in matrix.matrix[:1])  # judged all the same
    opposite = [item.name for item in matrix.networks].index("opposite")
    assert matrix.matrix[0][opposite].reason == "no sample that both get right"
    assert matrix.matrix[0][opposite].share is None


def test_without_labels_all_are_attacked_at_the_references_classes(folder):
    text = SUITE.replace('"x.npz"', '"unlabelled.npz"\nclasses = ["a", "b"]').replace(
        "fidelity.accuracy", "fidelity.predictions"
    )
    study = Study(write(folder, text, "unlabelled.toml"), folder / "store")
    (matrix,) = study.run().transfer
    assert matrix.attack["attacked"] == "the reference's classes"
    labels = (study.dataset.evaluation.x[:60, 0] > 0).astype(int)
    assert told(matrix) == {pair: value for pair, value in by_hand(study, labels).items() if value[0]}
    assert told(matrix)["first", "first"][0] == 60


def test_a_second_run_reuses_the_matrix(folder, results, monkeypatch):
    monkeypatch.setattr("bench.probes.attack_set.run_cascade", lambda *_: pytest.fail("attacked"))
    (again,) = Study(folder / "suite.toml", folder / "store").run().transfer
    assert again.cached
    assert again.model_copy(update={"cached": False}) == results.transfer[0]
    assert Study(folder / "suite.toml", folder / "store").run(only="scaled").transfer == []


DIGITS = """
[data]
loader = "digits"
evaluation = 1000
calibration = 32

[reference]
model = "mlp"
hidden = [16]
recipe = { epochs = 6 }

[yardstick]
retrained = 3

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "noise"
targets = ["torch"]
steps = [{ use = "weight-noise", sigma = 0.2 }]

[[variant]]
name = "int8"
steps = [{ use = "onnx-export" }, { use = "ort-static-quant" }]

[[metric]]
use = "fidelity.accuracy"
samples = 40

[[transfer]]
name = "linf"
attacks = ["apgd-ce[steps=10]"]
epsilon = 0.1
samples = 40
yardsticks = 2
"""


@pytest.fixture(scope="module")
def digits_study(folder):
    return Study(write(folder, DIGITS, "digits.toml"), folder / "store")


@pytest.fixture(scope="module")
def digits_results(digits_study):
    return digits_study.run()


def test_the_networks_of_a_matrix(digits_results):
    (matrix,) = digits_results.transfer
    assert [(item.role, item.name, item.target, item.gradient) for item in matrix.networks] == [
        ("reference", "reference", "torch", "exact"),
        ("reference", "reference", "edge", "exact"),
        ("variant", "noise", "torch", "exact"),
        ("variant", "int8", "edge", "straight_through"),
        ("yardstick", "yardstick 1", "torch", "exact"),
        ("yardstick", "yardstick 2", "torch", "exact"),
    ]
    assert all(share.n > 15 for row in matrix.matrix for share in row)


def test_figures_follow_from_the_stored_inputs_and_the_session_that_runs(digits_study, digits_results):
    """Each network's inputs lie in the ball and the bounds; verdicts anew, by a predictor opened here."""
    import torch

    (planned,) = transfers(digits_study.planned.planner, digits_study.plan)
    (matrix,) = digits_results.transfer
    observations = digits_study.engine.observations
    samples = digits_study.dataset.evaluation.take(slice(0, 40))
    opened = [observations.open(item.network, item.target) for item in planned.members]

    def right(predictor, x):
        return predictor.logits(torch.from_numpy(x))[0].argmax(dim=1).numpy() == samples.y

    clean = [right(predictor, samples.x) for predictor in opened]
    for row, (inputs, network) in enumerate(zip(planned.inputs, matrix.networks, strict=True)):
        made = observations.get(inputs).arrays
        x = np.array(made["inputs"])
        assert np.abs(x - samples.x).max() <= 0.1 + 1e-6, network
        assert x.min() >= 0
        assert x.max() <= 1
        assert (x[~clean[row]] == samples.x[~clean[row]]).all()  # what was wrong before is not attacked
        moved = (x != samples.x).reshape(len(x), -1).any(axis=1)
        assert (moved == clean[row]).all()  # and where no attack succeeded the strongest input is kept
        assert (right(opened[row], x) == made["robust_correct"].astype(bool)).all()
        for column, predictor in enumerate(opened):
            both = clean[row] & clean[column]
            fooled = int((~right(predictor, x)[both]).sum())
            share = matrix.matrix[row][column]
            assert (share.n, share.fooled) == (int(both.sum()), fooled), (row, column)


def test_own_inputs_fool_at_least_as_much_as_those_of_another_training(digits_results):
    shares = np.array([[share.share for share in row] for row in digits_results.transfer[0].matrix])
    trained = [0, 4, 5]  # reference and yardsticks
    assert all(shares[i, i] >= shares[j, i] for i in trained for j in trained)
    assert abs(shares[0, 0] - shares[3, 0]) < 0.15  # of the reference and its int8 file: nearly the same function


def test_reports_show_the_matrix(results, digits_results):
    page = render_html(Results.model_validate(digits_results.model_dump(by_alias=True)))
    section = page.partition('id="h-transfer"')[2].partition("</section>")[0]
    assert section.count("<td") == 36
    assert section.count(' own"') == 6
    own = digits_results.transfer[0].matrix[0][0]
    assert f'title="{own.fooled} of {own.n}"' in section
    for width in (60, 200):
        console = Console(width=width, record=True, file=StringIO())
        render(results, console)
        text = console.export_text()
        assert "made on" in text
        assert "7 hidden: skipped: " in text


def test_hostile_names_stay_text(results):
    broken = Results.model_validate(results.model_dump(by_alias=True))
    broken.transfer[0].networks[0].name = broken.transfer[0].matrix[0][1].reason = "<script>alert()</script>"
    broken.transfer[0].matrix[0][1].share = None
    section = render_html(broken).partition('id="h-transfer"')[2].partition("</section>")[0]
    assert "<script>" not in section


STEP = """
from bench.compression.base import Step
from bench.registry import parameters

@parameters
class Fails(Step):
    def apply(self, network, context):
        raise RuntimeError("out of order")
"""


def test_a_network_that_cannot_be_made_is_a_row_and_a_column_with_the_reason(folder):
    from bench.gate.exit_codes import incomplete

    write(folder, STEP, "transfer_broken.py")
    variant = '[[variant]]\nname = "broken"\nsteps = [{ use = "transfer_broken:Fails" }]\n[[variant]]\nname = "scaled"'
    text = SUITE.replace('[[variant]]\nname = "scaled"', variant)
    study = Study(write(folder, text, "broken.toml"), folder / "store")
    found = study.run()
    (matrix,) = found.transfer
    place = [item.name for item in matrix.networks].index("broken")
    assert (matrix.status, matrix.networks[place].status) == ("error", "error")
    assert "out of order" in matrix.networks[place].reason
    assert all("out of order" in row[place].reason for i, row in enumerate(matrix.matrix[:3]) if i != place)
    assert matrix.matrix[0][0].fooled == told(study.run().transfer[0])["first", "first"][1]
    assert any(line.startswith("transfer matrix sign: ") for line in incomplete(found))


BAD = {
    "epsilon = 0": "transfer[0].epsilon",
    'attacks = ["fgsmm"]': "transfer[0]",
    "yardsticks = -1": "transfer[0].yardsticks",
    "steps = 3": "transfer[0].steps",
    'variants = ["missing"]': "transfer[0].variants[0]",
    "samples = 90": "transfer[0].samples",
}


@pytest.mark.parametrize("line", BAD)
def test_what_is_wrong_is_said_where(folder, line):
    key = line.partition(" ")[0]
    lines = [item for item in SUITE.splitlines() if not (key != "evaluation" and item.startswith(f"{key} = "))]
    text = "\n".join(lines).replace('name = "sign"', f'name = "sign"\n{line}')
    with pytest.raises(UserError) as caught:
        load_suite(write(folder, text, "bad.toml"))
    assert BAD[line] in {problem.where for problem in caught.value.problems}


def test_a_key_holds_the_network_that_the_inputs_are_made_on(digits_study):
    (planned,) = transfers(digits_study.planned.planner, digits_study.plan)
    keys = [item.key for row in planned.judged for item in row]
    assert len(set(keys)) == len(keys) == 36
    assert {item.probe.name for item in planned.every()} == {"transfer", "adversarial-inputs"}
    other = replace(planned.section, inputs=AdversarialInputs(epsilon=0.2))
    suite = replace(digits_study.suite, transfers=(other,))
    again = transfers(digits_study.planned.planner, replace(digits_study.plan, suite=suite))[0]
    assert not set(keys) & {item.key for row in again.judged for item in row}


def test_what_needs_an_answer_that_is_not_there_is_skipped_with_its_reason(study, results) -> None:
    (planned,) = transfers(study.planned.planner, study.plan)
    number = [member.name for member in planned.members].index("hidden")
    answer = study.engine.observations.get(planned.judged[number][0])
    assert answer.status == "skipped"
    assert answer.reason.startswith("the reference's adversarial-inputs: ")

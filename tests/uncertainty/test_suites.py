"""Suites whose reference is made by an uncertainty method."""

from __future__ import annotations

import pytest

from bench.engine.planning import plan_suite
from bench.errors import UserError
from bench.study import Study
from bench.suite.load import load_suite
from tests.suite.documents import write

SUITE = """
[data]
loader = "digits"
evaluation = 150
calibration = 64

[reference]
model = "mlp"
hidden = [24, 24]
recipe = { epochs = 4, batch = 64 }
method = { use = "masksembles", members = 4, scale = 1.5 }

[yardstick]
retrained = 2

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "prune"
targets = ["torch"]
steps = [{ use = "structured-prune", ratio = 0.25 }, { use = "finetune", epochs = 1 }]

[[variant]]
name = "again"
targets = ["torch"]
steps = [{ use = "retrain" }]

[[variant]]
name = "alone"
targets = ["torch"]
steps = [{ use = "one-member", member = 2 }]

[[variant]]
name = "int8"
steps = [{ use = "onnx-export" }, { use = "ort-static-quant" }]

[[variant]]
name = "small"
targets = ["torch"]
steps = [{ use = "structured-prune", ratio = 0.25 }, { use = "train-small" }]

[[metric]]
use = "fidelity.predictions"

[[metric]]
use = "fidelity.accuracy"

[[metric]]
use = "uncertainty.calibration"
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("methods")
    return Study(write(folder, SUITE), folder / "store")


@pytest.fixture(scope="module")
def results(study):
    return study.run()


def cell(results, variant, metric):
    (found,) = (c for c in results.cells if (c.variant, c.metric) == (variant, metric))
    return found


def test_every_variant_is_measured_but_one_that_no_step_can_make(results) -> None:
    failed = {c.variant: c.reason for c in results.cells if c.status != "ok"}
    assert list(failed) == ["small"]
    assert "the members were made by masksembles" in failed["small"]


def test_members_made_anew_are_as_far_as_the_yardsticks(results) -> None:
    again, int8 = (cell(results, name, "fidelity.predictions").values["js"].estimate for name in ("again", "int8"))
    alone = cell(results, "alone", "fidelity.predictions").values["js"].estimate
    assert again > 5 * int8
    assert int8 < alone
    assert cell(results, "alone", "fidelity.accuracy").values["accuracy"].reference > 0.7


def test_a_second_run_trains_nothing(study, results) -> None:
    assert study.run().run.reused == sum(c.status == "ok" for c in results.cells)


def test_another_parameter_is_another_network(tmp_path) -> None:
    keys = set()
    for given in ("scale = 1.5", "scale = 2.0", 'scale = 2.0, combine = "mean_logit"'):
        suite = load_suite(write(tmp_path, SUITE.replace("scale = 1.5", given)))
        keys.add(plan_suite(suite).plan.references[0].key)
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("members = 4", "members = 1", "reference.method.members"),
        ("masksembles", "masksemble", "did you mean 'masksembles'"),
        ("scale = 1.5", "skale = 1.5", "did you mean 'scale'"),
        ("batch = 64", "batch = 30", "4 masks do not divide a batch of 30"),
        ("hidden = [24, 24]", "hidden = [1]", "the next width that can is"),
    ],
)
def test_what_cannot_be_made_is_refused_before_training(tmp_path, old, new, said) -> None:
    with pytest.raises(UserError) as refused:
        plan_suite(load_suite(write(tmp_path, SUITE.replace(old, new))))
    assert said in str(refused.value)

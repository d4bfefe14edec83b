"""What ``check``, ``list`` and ``describe`` print."""

import pytest

from bench.engine.planning import plan_suite
from bench.errors import UserError
from bench.suite.load import load_suite
from bench.suite.plan_text import describe_suite, targets_of
from bench.suite.registered_names import KINDS, describe, kinds_of, list_names
from tests.suite.documents import text, write

VARIANTS = """
[[variant]]
name = "prune"
steps = [{ use = "structured-prune", ratio = 0.3 }]
[[variant]]
name = "prune-tuned"
targets = ["torch"]
steps = [{ use = "structured-prune", ratio = 0.3 }, { use = "finetune", epochs = 3 }]
[[variant]]
name = "int8"
steps = [{ use = "onnx-export" }, { use = "ort-static-quant" }]
"""


def test_the_plan_counts_networks_and_cells(tmp_path):
    metric = (
        '[[metric]]\nuse = "cost"\n[[metric]]\nuse = "adversarial.pgd"\nsamples = 50\nmatrix.epsilon = [0.05, 0.1]\n'
    )
    metric += 'gate = [{ value = "robust_error", max_harm = 0.03 }]'
    head = 'name = "small"\nreplicates = 2'
    suite = load_suite(write(tmp_path, text(head=head, variant=VARIANTS, metric=metric)))
    assert [[target.name for target in targets_of(suite, variant)] for variant in suite.variants] == [
        ["torch", "edge"],
        ["torch"],
        ["edge"],
    ]
    lines = "\n".join(describe_suite(suite))
    assert "2 references, 4 yardsticks, 4 networks x 2 by steps" in lines  # the two prunings are one network
    assert "cells: 24 (variants x their targets x 3 metrics x 2 replicates)" in lines  # (2 + 1 + 1) * 3 * 2
    assert "structured-prune(ratio=0.3) > finetune" in lines
    assert "adversarial.pgd(epsilon=0.05)  50 samples   gate: robust_error" in lines
    assert "gate: robust_error max_harm 0.03" in lines
    assert "edge: 3 cells" in lines


def test_a_metric_is_measured_on_the_targets_that_it_names(tmp_path):
    metric = '[[metric]]\nuse = "cost"\n[[metric]]\nuse = "fidelity.accuracy"\ntargets = ["edge"]'
    suite = load_suite(write(tmp_path, text(variant=VARIANTS, metric=metric)))
    lines = "\n".join(describe_suite(suite))
    assert "cells: 6 (variants x their targets x 2 metrics)" in lines  # (2 + 1 + 1) of cost, (1 + 0 + 1) of accuracy
    assert "fidelity.accuracy on edge" in lines
    cells = [cell.label for cell in plan_suite(suite).plan.cells if "fidelity" in cell.label]
    assert cells == ["prune/edge/fidelity.accuracy", "int8/edge/fidelity.accuracy"]


def test_what_is_weak_is_said(tmp_path):
    assert "every gap will be null" in "\n".join(describe_suite(load_suite(write(tmp_path, text(yardstick="")))))
    few = load_suite(write(tmp_path, text(yardstick="[yardstick]\nretrained = 2")))
    assert "4 or more give gaps an interval" in "\n".join(describe_suite(few))
    noisy = load_suite(write(tmp_path, text(yardstick="[yardstick]\nweight_noise = 0.01")))
    assert "4 noisy copies that lose 0.01 of accuracy" in "\n".join(describe_suite(noisy))


def test_outside_networks_are_named_without_folders(tmp_path):
    (tmp_path / "int8.onnx").write_bytes(b"")
    suite = load_suite(write(tmp_path, text(variant='[[variant]]\nname = "v"\nonnx = "int8.onnx"')))
    lines = "\n".join(describe_suite(suite))
    assert "v  int8.onnx  edge: 1 cell" in lines
    assert str(tmp_path) not in lines


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_can_be_listed_and_described(kind):
    names = list_names(kind)
    assert names == sorted(names)
    for name, line in names:
        assert line
        assert describe(kind, name).startswith(f"{name} ({kind[:-1]}")
        assert kind in kinds_of(name)


def test_a_metric_is_described_with_parameters_and_values():
    page = describe("metrics", "adversarial.pgd")
    assert "a number, epsilon > 0" in page
    assert "required" in page
    assert "robust_error" in page
    assert "lower is better" in page
    assert "0 = same, power 1, counted" in page
    assert "needs labels, input gradients" in page


def test_a_step_is_described_with_what_it_takes_and_makes():
    page = describe("step", "ptq")
    assert "a whole number, 2 <= bits <= 8" in page
    assert "makes of torch: torch-quantised" in page
    assert "refuses torch-quantised: the network is quantised already" in page
    assert "\nneeds: calibration\n" in page
    assert "\nneeds: calibration, train, as its parameters demand\n" in describe("steps", "structured-prune")


@pytest.mark.parametrize(
    ("ask", "what", "right"),
    [
        (lambda: list_names("metrix"), "unknown kind 'metrix'", "did you mean 'metrics'?"),
        (lambda: describe("metrics", "cots"), "unknown metric 'cots'", "did you mean 'cost'?"),
        (lambda: kinds_of("structured-prun"), "unknown name 'structured-prun'", "did you mean 'structured-prune'?"),
    ],
)
def test_what_does_not_exist_is_refused(ask, what, right):
    with pytest.raises(UserError) as caught:
        ask()
    (problem,) = caught.value.problems
    assert (problem.what, problem.right) == (what, right)

"""Which stages a variant has on a target: no network is made."""

from __future__ import annotations

import pytest

from bench.engine.planning import plan_suite
from bench.suite.load import load_suite
from bench.suite.plan import Machine
from bench.suite.plan_text import describe_suite
from bench.suite.stages import observations_of, stage_cells, staged
from tests.suite.documents import problems, text, write

CHAIN = '[[variant]]\nname = "chain"\nstages = true\nsteps = [{ use = "structured-prune", ratio = 0.3 }, '
CHAIN += '{ use = "finetune", epochs = 1 }, { use = "ptq", bits = 8 }, { use = "onnx-export" }]'


TARGETS = '[[target]]\nname = "torch"\n[[target]]\nname = "edge"\nruntime = "onnxruntime"\ninteger_sums = '


def shown(tmp_path, on, **parts):
    """(stage, target) of the first cell on a target, and that cell's stage cells."""
    suite = load_suite(write(tmp_path, text(**parts)))
    planned_suite = plan_suite(suite)
    plan = planned_suite.plan
    planned = next(cell for cell in plan.cells if cell.target.name == on)
    stages, cells = stage_cells(planned_suite.planner, plan, planned)
    return [(stage.name, stage.target.name) for stage in stages], planned, cells


def test_a_chain_that_exports_itself_has_no_export_added(tmp_path):
    stages, planned, cells = shown(tmp_path, "edge", variant=CHAIN, target=TARGETS + '"exact"')
    assert stages == [
        ("reference", "torch"),
        ("structured-prune", "torch"),
        ("finetune", "torch"),
        ("ptq", "torch"),
        ("onnx-export", "edge, not optimised"),
        ("graph optimisation", "edge"),
    ]
    assert cells[-1].observed[0][0].key == planned.observed[0][0].key  # the last stage is the cell's own network
    assert cells[-2].observed[0][0].key != cells[-1].observed[0][0].key


def test_a_target_without_optimisation_adds_no_runtime_stage(tmp_path):
    target = '[[target]]\nname = "bare"\nruntime = "onnxruntime"\noptimisation = "disabled"\ninteger_sums = "exact"'
    stages, planned, cells = shown(tmp_path, "bare", variant=CHAIN, target=target)
    assert stages[0] == ("reference", "torch, as it is")  # no torch target is declared
    assert stages[-1] == ("onnx-export", "bare")
    assert cells[-1].observed[0][0].key == planned.observed[0][0].key


def test_saturating_sums_are_a_stage_of_their_own_after_the_optimisation_with_exact_sums(tmp_path):
    stages, planned, cells = shown(tmp_path, "edge", variant=CHAIN, target=TARGETS + '"saturating"')
    assert stages[-3:] == [
        ("onnx-export", "edge, not optimised, exact sums"),
        ("graph optimisation", "edge, exact sums"),
        ("processor", "edge"),
    ]
    assert [cell.observed[0][0].parts["integer_sums"] for cell in cells[-3:]] == ["exact", "exact", "saturating"]
    assert cells[-1].observed[0][0].key == planned.observed[0][0].key


@pytest.mark.parametrize(
    ("kind", "names", "key"),
    [
        ("exact", ["graph optimisation"], "exact"),
        ("saturating", ["graph optimisation", "processor"], "saturating"),
        (None, ["graph optimisation", "processor"], {"unknown": ["cpu"]}),
    ],
)
def test_native_sums_are_what_the_processor_has(tmp_path, kind, names, key):
    suite = load_suite(write(tmp_path, text(variant=CHAIN, target=TARGETS + '"native"')))
    planned_suite = plan_suite(suite)
    plan = planned_suite.plan
    expand = planned_suite.planner
    expand.machine = Machine(("cpu",), "fingerprint", {"CPUExecutionProvider": kind})
    planned = next(cell for cell in expand.plan().cells if cell.target.name == "edge")
    stages, cells = stage_cells(expand, plan, planned)
    assert [stage.name for stage in stages[5:]] == names
    assert cells[-1].observed[0][0].key == planned.observed[0][0].key
    assert planned.observed[0][0].parts["integer_sums"] == key
    assert "integer_sums" not in planned.reference[0][0].parts  # a float network is the same everywhere


def test_stages_of_one_data_set_and_seed(tmp_path):
    """Whatever could make two stages differ beside network and target is the same."""
    _, _, cells = shown(tmp_path, "edge", variant=CHAIN, target=TARGETS + '"exact"')
    for name in ("data", "probe", "version", "parameters"):
        assert len({str(cell.observed[0][0].parts[name]) for cell in cells}) == 1
    needed = [item.key for item in observations_of(cells)]
    assert len(set(needed)) == 1 + 1 + 4 + 5  # reference, floor, yardsticks, later stages


def test_a_torch_target_ends_with_the_last_step(tmp_path):
    stages, _, _ = shown(tmp_path, "torch", variant=CHAIN.replace(', { use = "onnx-export" }', ""))
    assert [name for name, _ in stages] == ["reference", "structured-prune", "finetune", "ptq"]
    assert {target for _, target in stages} == {"torch"}


def test_only_variants_that_ask_are_staged_and_the_plan_says_so(tmp_path):
    more = CHAIN + '\n[[variant]]\nname = "fold"\nsteps = [{ use = "bn-fold" }]'
    suite = load_suite(write(tmp_path, text(variant=more)))
    assert staged(plan_suite(suite).plan) == {"chain"}
    lines = [line for line in describe_suite(suite) if "and its stages" in line]
    assert len(lines) == 1
    assert lines[0].split()[0] == "chain"


@pytest.mark.parametrize(
    ("variant", "where"),
    [
        ('[[variant]]\nname = "same"\nstages = true\ntargets = ["torch"]\nsteps = []', "variant[0].stages"),
        ('[[variant]]\nname = "same"\nstages = "yes"\nsteps = [{ use = "bn-fold" }]', "variant[0].stages"),
        ('[[variant]]\nname = "same"\nstage = true\nsteps = [{ use = "bn-fold" }]', "variant[0].stage"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, variant, where):
    found = problems(write(tmp_path, text(variant=variant)))
    assert [problem.where for problem in found] == [where]


def test_the_reference_itself_has_stages_where_it_is_exported(tmp_path):
    stages, _, _ = shown(tmp_path, "edge", variant='[[variant]]\nname = "same"\nstages = true\nsteps = []')
    assert [name for name, _ in stages] == ["reference", "export", "graph optimisation"]

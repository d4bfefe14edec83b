"""The stage waterfall of a small network, through real runs."""

from __future__ import annotations

import json
import math
import sys

import pytest

from bench.cli import run_cli
from bench.gate import exit_code, incomplete
from bench.probes.logits import Logits
from bench.results import Results

SUITE = """
name = "staged"

[data]
loader = "digits"
evaluation = 150
calibration = 64

[reference]
model = "convnet"
widths = [6, 8]
strides = [1, 2]
recipe = { epochs = 1 }

[yardstick]
retrained = 4

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[target]]
name = "avx2"
runtime = "onnxruntime"
integer_sums = "saturating"

[[variant]]
name = "planted"
stages = true
steps = [
  { use = "bn-fold" },
  { use = "weight-noise", sigma = 0.02 },
  { use = "weight-noise", sigma = 0.02, seed = 1 },
  { use = "ptq", bits = 2 },
]

[[variant]]
name = "fold"
targets = ["torch"]
stages = true
steps = [{ use = "bn-fold" }]

[[variant]]
name = "plain"
targets = ["torch"]
steps = [{ use = "bn-fold" }]

[[metric]]
use = "fidelity.predictions"

[[metric]]
use = "fidelity.accuracy"

[[metric]]
use = "only_float:Spread"

[[metric]]
use = "cost"
"""

# a metric that cannot look at quantised torch networks, and can at ONNX files
METRIC = '''
import torch

from bench.errors import NotApplicable
from bench.functional.predictions import absolute_difference
from bench.metrics.base import Metric
from bench.metrics.values import Change, Mean
from bench.probes.base import Observation, Probe
from bench.registry import parameters


@parameters
class LogitSpread(Probe):
    """Standard deviation of each sample's logits."""

    name = "logit-spread"
    arrays = ("spread",)

    def ask(self, predictor, samples, context):
        if predictor.network.kind == "torch-quantised":
            raise NotApplicable("quantised modules are not looked at")
        return Observation({"spread": predictor.logits(torch.from_numpy(samples.x)).double().std(-1)[0].numpy()})


@parameters
class Spread(Metric):
    """How far logits spread."""

    family = "uncertainty"
    probes = (LogitSpread(),)
    values = (
        Change("spread_change", absolute_difference, of="spread", power=1),
        Mean("spread", of="spread", better="lower"),
    )
'''


def results(folder):
    return Results.model_validate(json.loads((folder / "reports/staged/results.json").read_text()))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder in which the suite was run once."""
    folder = tmp_path_factory.mktemp("staged")
    (folder / "staged.toml").write_text(SUITE)
    (folder / "only_float.py").write_text(METRIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        assert run_cli(["run", "staged.toml", "--quiet"]) == 0
        yield folder
    sys.modules.pop("only_float", None)


@pytest.fixture
def inside(ran, monkeypatch):
    monkeypatch.chdir(ran)
    return ran


def variant(found, name, target="torch"):
    return next(item for item in found.variants if (item.name, item.target) == (name, target))


def metric_at(stage, name):
    return next(item for item in stage.metrics if item.metric == name)


def series(stages, metric, value):
    """One value at every stage, None where it was not measured."""
    return [metric_at(stage, metric).values.get(value) for stage in stages]


def values_of(stages):
    return [(m.metric, name) for m in stages[0].metrics for name in m.values]


def test_stages_go_from_the_reference_to_the_target_as_it_is(ran):
    found = results(ran)
    shown = [(s.name, s.network.kind, s.target["name"]) for s in variant(found, "planted", "edge").stages]
    assert shown == [
        ("reference", "torch", "torch"),
        ("bn-fold", "torch", "torch"),
        ("weight-noise", "torch", "torch"),
        ("weight-noise (2)", "torch", "torch"),
        ("ptq", "torch-quantised", "torch"),
        ("export", "onnx-quantised", "edge, not optimised"),
        ("graph optimisation", "onnx-quantised", "edge"),
    ]
    assert [s.target.get("optimisation") for s in variant(found, "planted", "edge").stages[-2:]] == ["disabled", "all"]
    assert [s.name for s in variant(found, "planted").stages] == [name for name, _, _ in shown[:5]]
    assert variant(found, "plain").stages == []
    assert [(s.name, s.target["integer_sums"]) for s in variant(found, "planted", "avx2").stages[-3:]] == [
        ("export", "exact"),
        ("graph optimisation", "exact"),
        ("processor", "saturating"),
    ]


def test_the_processor_adds_what_saturation_does_and_the_stages_before_it_are_those_of_exact_sums(ran):
    found = results(ran)
    exact, saturating = (variant(found, "planted", target).stages for target in ("edge", "avx2"))
    for one, other in zip(exact, saturating[:-1], strict=True):
        js = [metric_at(stage, "fidelity.predictions").values.get("js") for stage in (one, other)]
        assert [None if item is None else item.cumulative.estimate for item in js] == [
            None if item is None else item.cumulative.estimate for item in reversed(js)
        ]
    cells = {(c.target, c.metric): c for c in found.cells if c.variant == "planted"}
    told = cells["avx2", "fidelity.predictions"].details["variant"]["integer_sums"]
    added = metric_at(saturating[-1], "fidelity.predictions").values["js"]
    assert told["kind"] == told["asked"] == "saturating"
    assert (added.step.estimate > 0) == any(layer["saturated"] for layer in told["layers"])


def test_the_last_stage_is_the_cell_itself(ran):
    """Its networks and target are those of the cell: a figure of its own is the same number."""
    found = results(ran)
    cells = {(c.variant, c.target, c.metric): c for c in found.cells}
    for name, target in (("planted", "torch"), ("planted", "edge"), ("fold", "torch")):
        last = variant(found, name, target).stages[-1]
        own = cells[name, target, "fidelity.accuracy"].values["accuracy"].variant
        assert metric_at(last, "fidelity.accuracy").values["accuracy"].cumulative.variant == own
    on_torch = cells["planted", "torch", "fidelity.predictions"].values
    last = metric_at(variant(found, "planted").stages[-1], "fidelity.predictions").values
    for name, value in on_torch.items():  # where the reference runs on the same target, the whole cell is
        assert last[name].cumulative.model_dump() == value.model_copy(update={"gates": []}).model_dump()


@pytest.mark.parametrize("target", ["torch", "edge"])
def test_what_the_stages_add_sums_to_the_whole(ran, target):
    stages = variant(results(ran), "planted", target).stages
    checked = 0
    for metric, value in values_of(stages):
        known = [item for item in series(stages, metric, value)[1:] if item is not None]
        if known[-1].added is None:
            continue
        parts, whole = [item.added.estimate for item in known], known[-1].cumulative.estimate
        assert math.fsum(parts) == pytest.approx(whole, rel=1e-12, abs=1e-15), (metric, value)
        checked += whole != 0
    assert checked >= 5


def test_every_stage_has_intervals_and_names_what_it_is_compared_with(ran):
    stages = variant(results(ran), "planted", "edge").stages
    for metric, value in values_of(stages):
        before = stages[0].name
        for stage, item in zip(stages[1:], series(stages, metric, value)[1:], strict=True):
            if item is None:
                continue
            assert item.since == before
            before = stage.name
            if item.cumulative.kind == "change" and item.step is not None:
                for one in (item.cumulative, item.step, item.added):
                    assert (one.ci is None) == (value.endswith("worst_5") or one.estimate is None)  # of 150 samples
                    if one.ci is None:
                        assert one.reason
                        continue
                    low, high = one.ci
                    assert low <= one.estimate <= high
                assert item.step.estimate is None or item.step.estimate >= 0
                assert item.cumulative.gap is not None or item.cumulative.reason
            elif item.cumulative.kind == "quality":
                assert item.step is None
                assert item.added.variant == item.cumulative.variant


def test_folding_adds_nothing_beyond_rounding(ran):
    stages = variant(results(ran), "fold").stages
    assert [stage.name for stage in stages] == ["reference", "bn-fold"]
    for metric, value in values_of(stages):
        item = series(stages, metric, value)[-1]
        assert not item.largest, (metric, value)
        if item.added is not None and item.added.kind == "change" and item.added.estimate is not None:
            assert item.added.estimate <= (item.added.numerical_floor or 0), (metric, value)


def test_the_planted_big_step_is_named_the_largest(ran):
    for target in ("torch", "edge"):
        stages = variant(results(ran), "planted", target).stages
        for metric, value in (("fidelity.predictions", "js"), ("fidelity.predictions", "flip_rate")):
            marked = [s.name for s, item in zip(stages, series(stages, metric, value), strict=True) if item.largest]
            assert marked == ["ptq"], (metric, value)


def test_a_metric_that_does_not_apply_is_skipped_with_its_reason_and_the_next_stage_says_since_when(ran):
    stages = variant(results(ran), "planted", "edge").stages
    found = [metric_at(stage, "only_float:Spread") for stage in stages]
    assert [item.status for item in found] == ["ok", "ok", "ok", "ok", "skipped", "ok", "ok"]
    assert found[4].reason == "quantised modules are not looked at"
    assert found[5].values["spread"].since == "weight-noise (2)"
    assert found[5].values["spread_change"].largest


def test_a_run_with_a_failed_stage_is_not_whole(ran):
    found = results(ran)
    assert exit_code(found, gate=False) == 0
    broken = metric_at(variant(found, "planted", "edge").stages[4], "cost")
    broken.status, broken.reason = "error", "out of memory"
    assert exit_code(found, gate=False) == 3
    assert "planted (edge) at ptq, cost: out of memory" in incomplete(found)


def test_costs_are_figures_stage_by_stage(ran):
    stages = variant(results(ran), "planted", "edge").stages
    sizes = [item.cumulative.variant for item in series(stages, "cost", "file_bytes")]
    assert all(size > 0 for size in sizes)
    assert len(set(sizes)) > 2
    assert all(item.added is None for item in series(stages, "cost", "file_bytes"))


def test_a_repeated_run_measures_nothing_and_gc_keeps_what_stages_stand_on(inside, monkeypatch):
    before = results(inside)
    keys = sorted((inside / ".crbench/observations").rglob("*.json"))
    assert run_cli(["gc", "--older-than", "0"]) == 0
    assert sorted((inside / ".crbench/observations").rglob("*.json")) == keys
    monkeypatch.setattr(Logits, "ask", lambda *_: pytest.fail("asked again"))
    for rerun in ("missing", "never"):
        assert run_cli(["run", "staged.toml", "--quiet", "--rerun", rerun]) == 0
        after = results(inside)
        metrics = [m for v in after.variants for s in v.stages for m in s.metrics]
        assert metrics
        assert all(item.cached for item in metrics)
        for old, new in zip(before.variants, after.variants, strict=True):
            for stage in (*old.stages, *new.stages):
                for item in stage.metrics:
                    item.cached = True
            assert new.stages == old.stages


def test_stages_of_an_own_torch_target_share_every_observation(inside, monkeypatch, capsys):
    """Asking for the stages of a variant whose networks are all measured already observes nothing."""
    text = SUITE.replace('name = "plain"', 'name = "plain"\nstages = true')
    (inside / "staged.toml").write_text(text)
    monkeypatch.setattr(Logits, "ask", lambda *_: pytest.fail("asked again"))
    try:
        assert run_cli(["run", "staged.toml", "--quiet", "--only", "plain"]) == 0
        assert [stage.name for stage in variant(results(inside), "plain").stages] == ["reference", "bn-fold"]
    finally:
        (inside / "staged.toml").write_text(SUITE)
        run_cli(["run", "staged.toml", "--quiet", "--rerun", "never"])


def test_a_stage_that_fails_keeps_the_stages_before_it_and_is_measured_again(tmp_path, monkeypatch):
    from bench.compression.ptq import PostTrainingQuantisation

    def fail(*_):
        raise RuntimeError("no scale\nfits")

    monkeypatch.chdir(tmp_path)
    start = SUITE.index('[[metric]]\nuse = "fidelity.accuracy"')
    text = SUITE[:start].replace('model = "convnet"\nwidths = [6, 8]\nstrides = [1, 2]', 'model = "mlp"\nhidden = [8]')
    text = text.replace('  { use = "bn-fold" },\n', "").replace(
        '{ use = "bn-fold" }', '{ use = "finetune", epochs = 1 }'
    )
    (tmp_path / "staged.toml").write_text(text)
    run = ["run", "staged.toml", "--quiet", "--only", "planted/torch/*"]
    with monkeypatch.context() as patch:
        patch.setattr(PostTrainingQuantisation, "apply", fail)
        assert run_cli(run) == 3
    stages = variant(results(tmp_path), "planted").stages
    assert [metric_at(stage, "fidelity.predictions").status for stage in stages] == ["ok", "ok", "ok", "error"]
    assert metric_at(stages[-1], "fidelity.predictions").reason == "step ptq: RuntimeError: no scale fits"
    assert run_cli([*run, "--rerun", "never"]) == 3
    assert run_cli(run) == 0
    stages = variant(results(tmp_path), "planted").stages
    assert {metric_at(stage, "fidelity.predictions").status for stage in stages} == {"ok"}

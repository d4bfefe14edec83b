"""Every kind of value through a real run: pairs, independent draws, bounds; with metrics of a user's own module."""

import json
import shutil

import pytest

from bench.metrics.base import metrics
from bench.study import Study
from tests.conftest import TINY

MODULE = """
from typing import ClassVar
import numpy as np
import torch
from bench.metrics.base import Metric
from bench.metrics.values import Bound, BoundFigures, Change, Mean
from bench.probes.base import Observation, PairProbe, Probe
from bench.registry import parameters
from bench.stats.streams import generator

def probabilities(predictor, samples):
    return predictor.logits(torch.from_numpy(samples.x)).double().softmax(-1).mean(0).numpy()

@parameters
class DrawnLabel(Probe):
    "A label drawn from the network's probabilities."
    name = "drawn-label"
    arrays = ("label",)
    random = True
    def ask(self, predictor, samples, context):
        p = probabilities(predictor, samples)
        u = [generator("sampled", context.seed, context.draw, predictor.network.record.get("step", ""), i).random()
             for i in samples.ids]
        return Observation({"label": (p.cumsum(1) < np.array(u)[:, None]).sum(1).astype(float)})

@parameters
class Sampled(Metric):
    "Its own change must not count its own noise."
    family: ClassVar = "fidelity"
    probes = (DrawnLabel(),)
    values = (
        Change("independent", lambda a, b: (a != b).astype(float), of="label", power=2, coupling="independent"),
    )

@parameters
class Same(PairProbe):
    "Whether both give one class."
    name = "same"
    arrays = ("same", "apart")
    def ask_pair(self, reference, variant, samples, context):
        same = probabilities(reference, samples).argmax(1) == probabilities(variant, samples).argmax(1)
        return Observation({"same": same.astype(float), "apart": 1 - same.astype(float)})

@parameters
class Agreement(Metric):
    "How often both agree, measured on the pair."
    family: ClassVar = "fidelity"
    probes = (Same(),)
    values = (
        Mean("agreement", of="same", better="higher"),
        Change("apart", None, of="apart", power=1, count=True, largest=1.0),
    )

@parameters
class Steps(Probe):
    "Four for what a step made, two for others; no sample is looked at."
    name = "steps"
    arrays = ("upper",)
    reads = "nothing"
    def ask(self, predictor, samples, context):
        return Observation({"upper": np.array(4.0 if predictor.network.record.get("step") else 2.0)})

@parameters
class Certified(Metric):
    "A certified bound and an open one."
    family: ClassVar = "lipschitz"
    probes = (Steps(),)
    values = (
        Bound("closed", lambda a: BoundFigures(1, float(a)), of="upper", evidence="certified", norm="l2", domain="all"),
        Bound("open", lambda a: BoundFigures(1.0, None), of="upper", evidence="lower", norm="l2", domain="samples"),
    )
"""


@pytest.fixture(scope="module")
def kinds(first_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    shutil.copytree(first_run / ".crbench", folder / ".crbench")
    (folder / "metrics_of_test_kinds.py").write_text(MODULE)
    text = TINY[: TINY.index("[[metric]]")].replace(
        '\n[[target]]\nname = "edge"\nruntime = "onnxruntime"\ninteger_sums = "exact"\n', ""
    )
    text = text[: text.index('[[variant]]\nname = "int8"')]
    uses = "".join(
        f'[[metric]]\nuse = "metrics_of_test_kinds:{name}"\n\n' for name in ("Sampled", "Agreement", "Certified")
    )
    (folder / "tiny.toml").write_text(text + uses)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        results = Study("tiny.toml").run()
    cells = json.loads(results.model_dump_json(by_alias=True))["cells"]
    return {cell["metric"].rsplit(":")[-1]: cell for cell in cells}


def test_independent_draws_do_not_count_a_networks_own_noise(kinds):
    value = kinds["Sampled"]["values"]["independent"]
    assert kinds["Sampled"]["status"] == "ok", kinds["Sampled"]
    assert value["ci"][0] <= value["estimate"] <= value["ci"][1]
    assert abs(value["estimate"]) < 0.1  # two draws of one network alone differ far more often
    assert len(value["yardsticks"]) == 4


def test_a_pair_is_measured_against_the_reference(kinds):
    value = kinds["Agreement"]["values"]["agreement"]
    assert value["kind"] == "pair"
    assert value["reference"] == 1.0  # the reference with itself
    assert value["estimate"] == pytest.approx(1 - value["variant"])
    assert 0 < value["estimate"] < 0.5
    assert value["ci"][0] <= value["estimate"] <= value["ci"][1]
    assert all(0.5 < mark < 1 for mark in value["yardsticks"])
    apart = kinds["Agreement"]["values"]["apart"]
    assert apart["estimate"] == pytest.approx(value["estimate"])
    assert apart["yardsticks"] == pytest.approx([1 - mark for mark in value["yardsticks"]])
    assert apart["gap"] > 0


def test_a_bound_gives_the_interval_of_the_true_ratio_and_no_sampling_interval(kinds):
    closed, opened = (kinds["Certified"]["values"][name] for name in ("closed", "open"))
    assert closed["bound"]["ratio"] == [0.5, 4.0]  # 1/2 to 4/1
    assert (closed["reference"], closed["variant"], closed["ci"]) == (2.0, 4.0, None)
    assert opened["bound"]["ratio"] == [None, None]
    assert opened["reason"]
    assert json.dumps(kinds["Certified"])


def test_a_class_from_outside_has_a_name_of_its_own_even_where_its_base_has_one(tmp_path, monkeypatch):
    (tmp_path / "names_of_test_kinds.py").write_text(
        "from bench.metrics.fidelity.predictions import Predictions\n"
        "class Mine(Predictions):\n    '''As the built-in.'''\n"
        "class Other(Mine):\n    '''As mine.'''\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ["names_of_test_kinds:Mine", "names_of_test_kinds:Other"]
    assert [metrics.get(name).name for name in names] == names
    assert metrics.get("fidelity.predictions").name == "fidelity.predictions"

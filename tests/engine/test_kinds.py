"""Every kind of value through a real run: pairs, independent draws, bounds; with metrics of a user's own module."""

import json

import pytest

from bench.metrics.base import metrics

MODULE = '''
from typing import ClassVar
import numpy as np
import torch
from bench.metrics.base import Bound, BoundFigures, Change, Metric, Pair, Quality
from bench.registry import parameters
from bench.stats.streams import generator

def probabilities(predictor, samples):
    return predictor.logits(torch.from_numpy(samples.x)).double().softmax(-1).mean(0).numpy()

@parameters
class Sampled(Metric):
    """A label drawn from each network's probabilities: its own change must not count its own noise."""
    family: ClassVar = "fidelity"
    values: ClassVar = (
        Change("independent", lambda a, b: (a["label"] != b["label"]).astype(float), power=2, coupling="independent"),
    )
    def observe(self, predictor, samples, observing):
        p = probabilities(predictor, samples)
        u = [generator("sampled", observing.seed, observing.draw, predictor.network.record.get("step", ""), i).random()
             for i in samples.ids]
        return {"label": (p.cumsum(1) < np.array(u)[:, None]).sum(1).astype(float)}

@parameters
class Agreement(Metric):
    """How often both agree, measured on the pair."""
    family: ClassVar = "fidelity"
    values: ClassVar = (Pair("agreement", lambda a, w: w @ a["same"] / w.shape[1], better="higher"),)
    def observe(self, predictor, samples, observing):
        raise AssertionError("a pair is measured, not observed")
    def measure(self, reference, variant, samples, observing):
        same = probabilities(reference, samples).argmax(1) == probabilities(variant, samples).argmax(1)
        return {"same": same.astype(float)}

@parameters
class Certified(Metric):
    """A certified bound and an open one."""
    family: ClassVar = "lipschitz"
    values: ClassVar = (
        Bound("closed", lambda a: BoundFigures(1, float(a["upper"])), evidence="certified", norm="l2", domain="all"),
        Bound("open", lambda a: BoundFigures(1.0, None), evidence="lower", norm="l2->l2", domain="samples"),
    )
    def observe(self, predictor, samples, observing):
        return {"upper": np.array(4.0 if predictor.network.record.get("step") else 2.0)}
'''


@pytest.fixture
def kinds(tiny, monkeypatch):
    (tiny.folder / "metrics_of_test_kinds.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tiny.folder))
    text = tiny.text[: tiny.text.index("[[metric]]")].replace(
        '\n[[target]]\nname = "edge"\nruntime = "onnxruntime"\ninteger_sums = "exact"\n', ""
    )
    text = text[: text.index('[[variant]]\nname = "int8"')]
    uses = "".join(
        f'[[metric]]\nuse = "metrics_of_test_kinds:{name}"\n\n' for name in ("Sampled", "Agreement", "Certified")
    )
    tiny.write(text=text + uses)
    code = tiny.run("run", "tiny.toml", "--quiet")
    assert code == 0, [cell["reason"] for cell in tiny.results()["cells"]]
    return {cell["metric"].rsplit(":")[-1]: cell for cell in tiny.results()["cells"]}


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

"""What every registered metric must do; a metric with a required parameter adds one row."""

from __future__ import annotations

import contextlib
import copy
import json

import numpy as np
import pytest

from bench.data.base import EVALUATION, Samples
from bench.data.sources.base import sources, with_sources
from bench.engine import asking
from bench.engine.arrays import NetworkArrays
from bench.engine.in_memory import answers, needed_by
from bench.errors import NotApplicable
from bench.families import FAMILIES
from bench.metrics.base import Metric, faults, metrics, reads
from bench.metrics.values import Change, Mean, Proportion, Quality, Statistic
from bench.probes.base import Background, Context, probes
from tests.metrics.asking import distance, figure

ROWS: dict[str, dict[str, object]] = {
    "adversarial.difference": {"epsilon": 0.1, "steps": 3},
    "adversarial.masking": {"epsilon": 0.1, "steps": 2, "queries": 5},
    "adversarial.pgd": {"epsilon": 0.1, "steps": 4, "restarts": 2},
    "adversarial.robust_error": {"epsilon": 0.1, "attacks": ("apgd-ce[steps=3]", "apgd-t[steps=3,targets=1]")},
    "uncertainty.ood": {"against": "noise"},
}
CHEAPER: dict[str, dict[str, object]] = {
    "adversarial.corruptions": {"kinds": ("shot-noise", "motion-blur", "jpeg", "rotation"), "severities": (1, 4)},
    "adversarial.minimum_norm": {"attacks": ("fmn[steps=4]",), "confirming_steps": 2},
    "attribution.expected_gradients": {"draws": 4, "most_draws": 8},
    "attribution.faithfulness": {"steps": 4, "shares": 4, "masks": 4},
    "attribution.gradient_shap": {"draws": 3},
    "attribution.ig": {"steps": 5, "most_steps": 10},
    "attribution.kernel_shap": {"grid": 3, "coalitions": 36},
    "attribution.rise": {"grid": 4, "masks": 20},
    "attribution.smoothgrad": {"draws": 3},
    "uncertainty.under_shift": {"kinds": ("shot-noise", "rotation"), "severities": (1, 4)},
    "cost": {"warmup": 1, "rounds": 5},
}
TORCH = ["reference", "ptq4"]


SILENT = r"its (gradients are zero|maps are constant) on 100\.0% of"  # of a network that nothing changes


def make(name: str) -> Metric:
    return metrics.get(name)(**ROWS.get(name, {}), **CHEAPER.get(name, {}))


REFUSING = (
    "adversarial.difference",
    "adversarial.difference_search",
    "attribution.bounds",
    "lipschitz.ball",
    "lipschitz.difference",
    "lipschitz.global",
    "lipschitz.margin",
    "lipschitz.scale",
)  # most networks here, many samples, or a network beside itself; each has tests of its own


@pytest.fixture(params=[name for name in metrics.names() if name not in REFUSING])
def metric(request) -> Metric:
    return make(request.param)


@pytest.fixture(params=[name for name in metrics.names() if name not in ("cost", *REFUSING)])
def measured(request) -> Metric:
    """A metric that shows something of a network's samples; a clock gives no two equal readings."""
    return make(request.param)


def observed(arrays: NetworkArrays) -> dict[str, np.ndarray]:
    """What the network itself answered, without what follows from it."""
    return {name: array for _, answer in arrays.answers for name, array in answer.arrays.items()}


def per_sample(arrays: NetworkArrays) -> dict[str, np.ndarray]:
    """Those arrays whose first axis is that of the evaluation samples."""
    asked = [answer for probe, answer in arrays.answers if probe.reads == "rows" and probe.asked_on == EVALUATION]
    rows = [answer.arrays for answer in asked]
    return {name: array for answer in rows for name, array in answer.items()}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        if a[name].dtype.kind == "f":
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=2e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("metric", metrics.names(), indirect=True)
def test_it_is_declared_soundly(metric: Metric) -> None:
    names = [value.name for value in metric.values]
    assert len(set(names)) == len(names)
    assert metric.family in FAMILIES
    assert metric.name.split(".")[0] == metric.family
    json.dumps([metric.parameters(), metric.protocol()], allow_nan=False)
    changes = [value.name for value in metric.values if isinstance(value, Change)]
    assert metric.headline is None or metric.headline in changes
    assert not list(faults(metric))
    assert {probe.name for probe in metric.probes} <= set(probes.names())


@pytest.fixture
def sets(digits):
    """The splits, and noisy images."""
    return with_sources(digits, {"noise": sources.get("gaussian-noise")(std=0.2)}).sets


@pytest.fixture
def ask(predictors, samples, sets):
    """Put a metric to a network of the zoo, the reference beside it."""

    def put(metric: Metric, network: str, shown: Samples = samples) -> NetworkArrays:
        return answers(metric, predictors[network], shown, predictors["reference"], seed=7, sets=sets)

    return put


def changes(metric: Metric) -> list[Change]:
    return [value for value in metric.values if isinstance(value, Change)]


def defined(metric: Metric, *shown: NetworkArrays) -> list[Change]:
    """The changes that these networks have: what has no meaning for a degenerate one is null with its reason."""
    kept = []
    for value in changes(metric):
        with contextlib.suppress(NotApplicable):
            distance(value, shown[0], shown[-1])
            kept.append(value)
    assert {value.name for value in changes(metric)} - {value.name for value in kept} <= {"js_tempered"}
    return kept


def figures(metric: Metric, shown: NetworkArrays) -> list[Quality]:
    """The figures that a network has: where it accepts no answer there is no risk, and one member has no pair."""
    every = [value for value in metric.values if isinstance(value, Mean | Proportion | Statistic)]
    kept = []
    for value in every:
        with contextlib.suppress(NotApplicable):
            found = figure(value, shown)
            if np.isfinite(found).all() or not (isinstance(value, Statistic) and value.undefined):
                kept.append(value)
    every = [value for value in every if value in kept or not (isinstance(value, Statistic) and value.undefined)]
    lacking = {"selective_risk", "calibrated_nll", "disagreement"}
    assert {value.name for value in every} - {value.name for value in kept} <= lacking
    return kept


@pytest.mark.parametrize("network", TORCH)
def test_two_answers_under_one_seed_are_equal(measured, ask, network) -> None:
    first, second = observed(ask(measured, network)), observed(ask(measured, network))
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("network", ["reference", "ptq4", "saturated", "constant"])
def test_a_network_has_not_changed_from_itself(measured, ask, samples, network) -> None:
    if (measured.gradients or measured.family == "attribution") and network == "constant":
        with pytest.raises(NotApplicable, match=SILENT):
            ask(measured, network)
        return
    shown, again = ask(measured, network), ask(measured, network)
    for value in defined(measured, shown, again):
        found = distance(value, shown, again)
        assert found.shape == (len(samples),)
        assert found.dtype == np.float64
        assert not found.any()


def test_another_network_has_changed_and_distances_are_symmetric(measured, ask) -> None:
    a, b = ask(measured, "reference"), ask(measured, "retrained")
    for value in changes(measured):
        forth, back = distance(value, a, b), distance(value, b, a)
        np.testing.assert_array_equal(forth, back)
        assert forth.min() >= 0
        assert forth.max() > 0
        assert not value.count or set(np.unique(forth)) <= {0.0, 1.0}


@pytest.mark.parametrize("network", TORCH)
def test_a_sample_is_answered_alike_in_any_company(measured, predictors, samples, network) -> None:
    """The trial that chooses the view is of the whole set, as in a suite."""
    index = np.random.default_rng(0).permutation(len(samples))[:37]
    part = samples.take(index)
    for probe in measured.probes:
        if probe.reads != "rows":
            continue
        needed = [needed_by(probe, shown, predictors["reference"], 7) for shown in (samples, part)]
        behind = Background(samples.x[:20], "calibration")
        asked = {"trial": samples.x[:64], "background": behind}
        asked["opposite"] = predictors["reference"] if probe.pair else None
        contexts = [Context(7, reference=each, **asked) for each in needed]
        whole = probe.ask(predictors[network], samples, contexts[0]).arrays
        found = probe.ask(predictors[network], part, contexts[1]).arrays
        assert_same({name: array[index] for name, array in whole.items()}, dict(found))


@pytest.mark.parametrize("network", TORCH)
def test_fewer_samples_are_the_beginning_of_more(measured, ask, samples, network) -> None:
    """One answer serves every number of samples: bit for bit, whatever is asked first."""
    whole, part = (per_sample(ask(measured, network, samples.take(slice(0, n)))) for n in (120, 70))
    for name, array in part.items():
        np.testing.assert_array_equal(whole[name][:70], array, err_msg=name)


@pytest.mark.parametrize("network", TORCH)
def test_blocks_are_one_answer(measured, ask, network, monkeypatch) -> None:
    whole = observed(ask(measured, network))
    monkeypatch.setattr(asking, "block_size", lambda probe, predictor: 50)
    blocks = observed(ask(measured, network))
    assert_same(whole, blocks)


@pytest.mark.parametrize("batch", [1, 6, 50])
def test_a_sample_is_answered_alike_in_any_batch(measured, ask, predictors, samples, batch, monkeypatch) -> None:
    # of float networks: another batch size may tip a quantised one over the edge of a rounding, so the size is fixed
    few = samples.take(slice(0, 12))
    expected = per_sample(ask(measured, "reference", few))
    monkeypatch.setattr(predictors["reference"], "batch_size", batch)
    assert_same(expected, per_sample(ask(measured, "reference", few)))


def assert_finite(metric: Metric, shown: NetworkArrays, other: NetworkArrays) -> None:
    for name in shown:
        # where no temperature fits there is none, and one member has no pair; values made of them are looked at below
        if name not in ("tempered", "calibrated_nll", "disagreement"):
            assert name not in shown or np.isfinite(shown[name]).all(), name
    json.dumps([shown.notes, metric.details(shown)], allow_nan=False)
    weights = np.ones((2, len(shown.samples)))
    for value in defined(metric, shown, other):
        assert np.isfinite(distance(value, shown, other)).all(), value.name
    for value in figures(metric, shown):
        assert np.isfinite(figure(value, shown, weights)).all(), value.name


@pytest.mark.parametrize("network", ["saturated", "constant", "equal"])
def test_degenerate_networks_give_finite_figures(metric, ask, network) -> None:
    if (metric.gradients or metric.family == "attribution") and network != "saturated":
        with pytest.raises(NotApplicable, match=SILENT):
            ask(metric, network)
        return
    assert_finite(metric, ask(metric, network), ask(metric, "reference"))


@pytest.mark.parametrize("pixel", [0.0, 0.5, 1.0])
def test_constant_images_give_finite_figures(metric, ask, samples, pixel) -> None:
    flat = Samples(samples.ids[:5], np.full_like(samples.x[:5], pixel), samples.y[:5])
    shown, refused = [], ""
    try:
        shown = [ask(metric, name, flat) for name in ("reference", "retrained")]
    except NotApplicable as error:
        refused = str(error)
    if refused:
        assert metric.family == "attribution"
        assert "its maps are constant on 100.0% of 5 samples" in refused
    else:
        assert_finite(metric, *shown)


def test_a_single_sample_is_enough(metric, ask, samples) -> None:
    one = samples.take(slice(0, 1))
    if metric.name == "attribution.expected_gradients":
        with pytest.raises(NotApplicable, match="constant"):  # it is its own background
            ask(metric, "reference", one)
        return
    assert_finite(metric, ask(metric, "reference", one), ask(metric, "ptq4", one))


def test_statistics_take_weights_and_equal_weights_change_nothing(measured, ask, samples) -> None:
    n = len(samples)
    shown = ask(measured, "reference")
    random = np.random.default_rng(0)
    weights = random.multinomial(n, np.full(n, 1 / n), size=50).astype(np.float32)
    for value in figures(measured, shown):
        draws = figure(value, shown, weights)
        assert draws.shape == (50,)
        assert draws.dtype == np.float64
        assert draws.std() > 0 or value.better == "none"  # a temperature is fitted, and there may be no ties
        plain = figure(value, shown, np.ones((3, n)))
        np.testing.assert_allclose(plain, plain[0], rtol=1e-12)
        np.testing.assert_allclose(figure(value, shown, np.ones((1, n), np.float32)), plain[:1], rtol=1e-5, atol=1e-9)
        if not isinstance(value, Statistic):
            np.testing.assert_allclose(value.per_sample(shown).mean(), plain[0], rtol=1e-9)
            expected = (weights @ value.per_sample(shown)) / n
            np.testing.assert_allclose(draws, expected, rtol=1e-5)


def everything(metric: Metric, shown: NetworkArrays) -> list[np.ndarray]:
    """All that the metric's values are made of."""
    return [shown[name] for value in metric.values for name in reads(value)]


def test_it_says_where_it_does_not_apply(metric, ask, predictors, samples) -> None:
    unlabelled = Samples(samples.ids, samples.x, None)
    if metric.labelled:
        with pytest.raises(NotApplicable, match="labels"):
            everything(metric, ask(metric, "reference", unlabelled))
    else:
        ask(metric, "reference", unlabelled)
    assert_finite(metric, ask(metric, "onnx8"), ask(metric, "onnx"))
    if metric.gradients:  # where the imported graph is another function than the session, none is served
        stranger = copy.copy(predictors["onnx"])
        stranger.graph = predictors["onnx4"].graph
        with pytest.raises(NotApplicable, match="differs from ONNX Runtime's session"):
            answers(metric, stranger, samples, predictors["reference"])


def test_it_leaves_global_random_state_alone(metric, ask, samples) -> None:
    import random

    import torch

    before = (torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())
    ask(metric, "reference", samples.take(slice(0, 5)))
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()

"""Attacks on the difference, put to real networks of both runtimes."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine import asking
from bench.engine.in_memory import answers
from bench.errors import NotApplicable, NotDifferentiable, UserError
from bench.metrics.adversarial.difference import DifferenceOfNetworks
from bench.metrics.adversarial.difference_search import DifferenceSearchOfNetworks
from bench.networks.network import TorchNetwork
from bench.probes.joint_outcomes import OUTCOMES
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

METRIC = DifferenceOfNetworks(epsilon=0.15, steps=8)
SEARCH = DifferenceSearchOfNetworks(queries=6)
PAIRS = [("reference", "ptq4"), ("onnx", "onnx4")]


@pytest.fixture
def few(samples):
    return samples.take(slice(0, 40))


@pytest.fixture
def ask(predictors, few):
    def put(variant, reference, metric=METRIC, shown=None, **more):
        first, second = (predictors[each] if isinstance(each, str) else each for each in (reference, variant))
        return answers(metric, second, few if shown is None else shown, first, seed=7, **more)

    return put


def classes(predictor, x):
    return predictor.logits(torch.from_numpy(x))[0].argmax(dim=1).numpy()


@pytest.mark.parametrize("objective", ["probability", "logit"])
@pytest.mark.parametrize("network", ["reference", "onnx8"])
def test_a_network_has_no_difference_from_itself(ask, network, objective) -> None:
    shown = ask(network, network, replace(METRIC, objective=objective))
    assert shown["started"].any()
    for name in ("joint_any", "joint_last", "first_step"):
        assert not shown[name].any()
    assert not np.isin(shown["outcome_last"], (1, 2)).any()
    assert shown["zero_gradient"][shown["started"] > 0, 0].all()
    np.testing.assert_array_equal(shown["found"], shown.samples.x)


def test_a_folded_network_has_no_more_than_noise(ask, networks, digits, samples) -> None:
    context = StepContext(digits.train, digits.calibration, None, 0)
    folded = open_predictor(run_step(steps.get("bn-fold")(), networks["reference"], context), Target(name="torch"))
    shown = ask(folded, "reference", shown=samples)
    assert shown["joint_any"][:, 0].sum() <= shown["joint_any"][:, 2].sum() == 0


def test_other_networks_differ_and_the_attack_finds_more_than_noise(ask, samples) -> None:
    shown = ask("retrained", "reference", shown=samples)
    found = shown["joint_any"].sum(axis=0)
    assert found[0] > 20
    assert found[1] > 20
    assert found[2] < found[0] / 3


@pytest.mark.parametrize(("reference", "variant"), PAIRS)
def test_what_is_told_is_what_both_networks_say_as_they_run(ask, predictors, few, reference, variant) -> None:
    shown = ask(variant, reference)
    first, second = (classes(predictors[name], few.x) for name in (reference, variant))
    right, other = first == few.y, second == few.y
    np.testing.assert_array_equal(shown["clean_outcome"], 2 * ~right + ~other)
    np.testing.assert_array_equal(shown["started"], right & other)
    evaded = shown["evaded"] > 0
    assert evaded.any()
    found = np.stack([classes(predictors[name], shown["found"]) for name in (reference, variant)], axis=1)
    np.testing.assert_array_equal(shown["found_classes"], found)
    assert (found[evaded, 0] == few.y[evaded]).all()
    assert (found[evaded, 1] != few.y[evaded]).all()
    assert (np.abs(shown["found"] - few.x) <= METRIC.epsilon + 1e-6).all()
    assert shown["found"].min() >= 0
    assert shown["found"].max() <= 1
    np.testing.assert_array_equal(shown["found"][~evaded], few.x[~evaded])


@pytest.mark.parametrize(("reference", "variant"), PAIRS)
def test_its_figures_agree_with_each_other(ask, reference, variant) -> None:
    shown = ask(variant, reference)
    started, joint = shown["started"] > 0, shown["joint_any"] > 0
    np.testing.assert_array_equal(joint, shown["first_step"] > 0)
    assert (joint >= (shown["joint_last"] > 0)).all()
    np.testing.assert_array_equal(shown["joint_last"][started] > 0, shown["outcome_last"][started] == 1)
    for name in ("joint_any", "first_step", "confidence_change", "dissimilarity", "zero_gradient"):
        assert not shown[name][~started].any()
    assert (np.abs(shown["confidence_change"]) <= 1).all()
    assert ((shown["dissimilarity"][started] > 0) & (shown["dissimilarity"][started] < 0.5)).all()
    details = METRIC.details(shown)
    json.dumps([details, shown.notes, METRIC.protocol()], allow_nan=False)
    assert details["started"] == started.sum() == sum(details["diva"]["outcomes_last"].values())
    assert details["diva"]["joint_success"]["events"] == shown["evaded"].sum()
    assert list(details["clean"]) == list(OUTCOMES)
    pgd = joint[started, 1].sum()
    assert details["diva_over_pgd"]["ratio"] == pytest.approx(joint[started, 0].sum() / pgd)


def test_success_is_judged_on_the_session_and_not_on_what_gradients_see(ask, predictors, few) -> None:
    """A session that never errs, behind the same differentiable view, has no success; its twin has."""
    steady = copy.copy(predictors["onnx4"])
    labels = {few.x[row].tobytes(): int(few.y[row]) for row in range(len(few))}
    asked = []

    def nearest(x):
        return [labels[min(few.x, key=lambda own: float(np.abs(own - each).sum())).tobytes()] for each in x]

    def logits(x):
        asked.append(len(x))
        return 9.0 * torch.eye(10)[torch.tensor(nearest(x.numpy()))][None]

    shown = ask("onnx4", "onnx")
    assert shown["joint_any"][:, 0].any()
    steady.logits = logits
    steady.trust = lambda x: None
    judged = ask(steady, "onnx")
    assert judged["started"].sum() >= shown["started"].sum()
    assert asked
    assert not judged["joint_any"].any()


@pytest.mark.parametrize(("reference", "variant"), PAIRS)
@pytest.mark.parametrize("metric", [METRIC, SEARCH], ids=["attack", "search"])
def test_a_sample_is_answered_alike_in_any_company_and_block(ask, few, reference, variant, metric, monkeypatch) -> None:
    index = np.array([5, 3, 17, 30])
    whole = ask(variant, reference, metric)
    monkeypatch.setattr(asking, "block_size", lambda probe, predictor: 15)
    blocks = ask(variant, reference, metric)
    arrays = [name for probe in metric.probes for name in probe.arrays]
    for name in arrays:
        np.testing.assert_allclose(blocks[name], whole[name], atol=1e-6, err_msg=name)
    if reference == "reference":  # the trial that an imported graph is compared on is of the whole set
        part = ask(variant, reference, metric, few.take(index))
        for name in arrays:
            np.testing.assert_allclose(part[name], whole[name][index], atol=1e-6, err_msg=name)


def test_without_labels_the_references_classes_stand_for_them(ask, predictors, few) -> None:
    bare = replace(few, y=None)
    for metric in (METRIC, SEARCH):
        shown = ask("ptq4", "reference", metric, bare)
        agree = classes(predictors["reference"], few.x) == classes(predictors["ptq4"], few.x)
        np.testing.assert_array_equal(shown["started"] > 0, agree)
        assert shown.notes["attacked"] == "the reference's classes"


def test_towards_a_target_the_variant_must_give_it(ask, few) -> None:
    targeted = replace(METRIC, targeted=True)
    shown, free = ask("retrained", "reference", targeted), ask("retrained", "reference")
    assert shown["joint_any"].any()
    evaded = shown["evaded"] > 0
    assert (shown["found_classes"][evaded, 1] != few.y[evaded]).all()
    assert not np.array_equal(shown["found"], free["found"])


def test_a_surrogate_stands_for_the_reference_and_is_judged_by_it(ask, predictors, few) -> None:
    metric = replace(METRIC, surrogate=True, methods=("diva",))
    shown = ask("retrained", "reference", metric)
    agreement = shown.notes["surrogate_agreement"]
    assert agreement["after"] >= agreement["before"]
    assert agreement["samples"] == 40
    evaded = shown["evaded"] > 0
    assert evaded.any()
    assert (classes(predictors["reference"], shown["found"][evaded]) == few.y[evaded]).all()
    black_box = copy.copy(predictors["reference"])
    black_box.differentiable = _refuses  # its answers are enough
    again = ask("retrained", black_box, metric)
    np.testing.assert_array_equal(again["found"], shown["found"])
    with pytest.raises(NotApplicable, match="has no parameters"):
        ask("onnx8", "onnx", metric)


def _refuses(*_arguments, **_named):
    raise NotDifferentiable("no input gradients here")


@pytest.mark.parametrize("role", ["reference", "variant"])
def test_what_has_no_gradients_is_skipped_with_its_role_and_reason(ask, predictors, role) -> None:
    opaque = copy.copy(predictors["reference"])
    opaque.differentiable = opaque.straight_through = _refuses
    pair = (opaque, "retrained") if role == "variant" else ("retrained", opaque)
    with pytest.raises(NotApplicable, match=f"{role}: no input gradients here"):
        ask(*pair)


@pytest.mark.parametrize("role", ["reference", "variant"])
def test_dead_and_nan_gradients_are_told_and_are_no_zero(ask, predictors, networks, role) -> None:
    class Root(torch.nn.Module):
        """Its gradient is infinite wherever a pixel is black, as in every image here."""

        def __init__(self, inner, everywhere):
            super().__init__()
            self.inner, self.everywhere = inner, everywhere

        def forward(self, x):
            rooted = x.sqrt() if not self.everywhere else x * (x * 0).sqrt()
            return self.inner(x) + rooted.sum(dim=(1, 2, 3), keepdim=True).flatten(1)

    def pair(other):
        return (other, "reference") if role == "variant" else ("reference", other)

    with pytest.raises(NotApplicable, match=rf"{role}: its gradients are zero on 100.0% of"):
        ask(*pair("constant"))
    own = networks["reference"]
    for everywhere in (False, True):
        made = TorchNetwork(Root(own.module, everywhere), own.input, own.record)
        with pytest.raises(NotApplicable, match="NaN or infinite"):
            ask(*pair(open_predictor(made, Target(name="torch"))))


def test_bad_input_is_refused(ask, few) -> None:
    for metric in (METRIC, SEARCH):
        with pytest.raises(UserError, match=r"outside the declared bounds; values from 0 to 1"):
            ask("ptq4", "reference", metric, replace(few, x=few.x + 1))
    for wrong in ({"epsilon": 0.0}, {"epsilon": -1}, {"epsilon": 0.1, "c": 0}, {"epsilon": 0.1, "steps": 0},
                  {"epsilon": 0.1, "methods": ()}, {"epsilon": 0.1, "methods": ("pgd", "pgd")}):  # fmt: skip
        with pytest.raises(ValidationError):
            DifferenceOfNetworks(**wrong)
    for wrong in ({"queries": 0}, {"total": 0}):
        with pytest.raises(ValidationError):
            DifferenceSearchOfNetworks(**wrong)


def test_samples_that_one_network_gets_wrong_are_never_attacked(ask, few) -> None:
    wrong = replace(few, y=(few.y + 1) % 10)
    for metric in (METRIC, SEARCH):
        shown = ask("ptq4", "reference", metric, wrong)
        rows = shown["started"] > 0
        np.testing.assert_array_equal(shown["found"][~rows], few.x[~rows])
        details = metric.details(shown)
        assert details["started"] == rows.sum()
        json.dumps(details, allow_nan=False)


@pytest.mark.parametrize(("reference", "variant"), [("reference", "retrained"), ("onnx", "onnx8")])
def test_a_search_by_questions_alone_serves_any_two_networks(ask, predictors, few, reference, variant) -> None:
    metric = replace(SEARCH, queries=15)
    blind = {name: copy.copy(predictors[name]) for name in (reference, variant)}
    for each in blind.values():
        each.differentiable = each.straight_through = _refuses
    shown = ask(blind[variant], blind[reference], metric)
    started, parted = shown["started"] > 0, shown["parted"] > 0
    np.testing.assert_array_equal(parted, shown["first_query"] > 0)
    assert shown["first_query"].max() <= 15
    assert not parted[~started].any()
    found = np.stack([classes(predictors[name], shown["found"]) for name in (reference, variant)], axis=1)
    np.testing.assert_array_equal(shown["found_classes"][started], found[started])
    np.testing.assert_array_equal((found[:, 0] != found[:, 1])[started], parted[started, 0])
    assert (np.abs(shown["strengths"]).sum(axis=1) <= metric.total + 1e-9).all()
    if variant == "retrained":
        assert parted.any()
        assert metric.details(shown)["guided"]["found"]["events"] == parted[:, 0].sum()
    json.dumps([metric.details(shown), shown.notes], allow_nan=False)


def test_a_search_never_parts_a_network_from_itself(ask) -> None:
    shown = ask("onnx8", "onnx8", SEARCH)
    assert not shown["parted"].any()
    assert not shown["total_variation"].any()


def test_what_parts_without_an_attack_counts_and_rare_events_have_no_interval(ask, samples) -> None:
    shown = ask("ptq4", "reference", shown=samples.take(slice(0, 80)))
    alone = shown["clean_outcome"] == 1
    assert alone.any()
    np.testing.assert_array_equal(shown["apart"] > 0, (shown["joint_any"][:, 0] > 0) | alone)
    _, success, _ = METRIC.values
    assert success.without_interval(ask("reference", "reference")).startswith("underpowered: 0 of ")
    many = {"evaded": np.r_[np.ones(10), np.zeros(20)], "started": np.r_[np.ones(20), np.zeros(10)]}
    none = {"evaded": np.zeros(30), "started": many["started"]}  # the reference beside itself
    assert success.without_interval(none, many) == ""
    assert success.without_interval(none, none).startswith("underpowered: 0 of 20")

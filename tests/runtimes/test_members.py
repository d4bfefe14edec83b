"""Networks of several members: on torch and ONNX Runtime, through every step, attacked as the one that they make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.attacks.declared import declared_attacks
from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.in_memory import answers
from bench.errors import UserError
from bench.metrics.adversarial.robust_error import RobustError
from bench.metrics.uncertainty.members import Members
from bench.networks.interface import combined
from bench.networks.members import Stacked
from bench.networks.network import TorchNetwork
from bench.onnx_files.probing import probe_answer
from bench.probes.attack_cascade import run_cascade
from bench.probes.attack_options import asked_of
from bench.probes.base import Context
from bench.probes.gradient_view import gradient_view
from bench.probes.logits import log_probabilities
from bench.runtimes.opening import open_predictor
from tests.zoo import TARGETS

STEPS = {
    "fold": [("bn-fold", {})],
    "prune": [("structured-prune", {"ratio": 0.3})],
    "finetune": [("structured-prune", {"ratio": 0.3}), ("finetune", {"epochs": 3})],
    "distil": [("finetune", {"epochs": 1, "distillation": 0.9})],
    "ptq8": [("ptq", {"bits": 8})],
    "ptq4": [("ptq", {"bits": 4})],
    "mixed": [("ptq-mixed", {"average_bits": 5})],
    "qat4": [("qat", {"bits": 4, "epochs": 1})],
    "taylor": [("structured-prune", {"ratio": 0.2, "importance": "taylor"})],
    "noise": [("weight-noise", {"sigma": 0.05})],
    "onnx": [("onnx-export", {})],
    "onnx8": [("onnx-export", {}), ("ort-static-quant", {})],
    "dynamic": [("onnx-export", {}), ("ort-dynamic-quant", {})],
    "ptq8-onnx": [("ptq", {"bits": 8}), ("onnx-export", {})],
}


@pytest.fixture(scope="module")
def three(zoo):
    members = [zoo("small", seed) for seed in range(3)]
    declared = replace(members[0].input, members=3)
    return members, TorchNetwork(Stacked([member.module for member in members]).eval(), declared)


@pytest.fixture(scope="module")
def made(three, digits):
    """The network after each chain of steps."""
    known = {}

    def make(name):
        if name not in known:
            from bench.models.base import Recipe

            context = StepContext(digits.train, digits.calibration, Recipe(epochs=1), 0, reference=three[1])
            network = three[1]
            for step, parameters in STEPS[name]:
                network = run_step(steps.get(step)(**parameters), network, context)
            known[name] = network
        return known[name]

    return make


def opened(network):
    return open_predictor(network, TARGETS["onnx" if network.kind.startswith("onnx") else "torch"])


def test_each_member_answers_what_it_answers_alone(three, samples) -> None:
    members, network = three
    x = torch.from_numpy(samples.x)
    found = opened(network).logits(x)
    assert found.shape == (3, len(x), 10)
    for member, row in zip(members, found, strict=True):
        torch.testing.assert_close(row, opened(member).logits(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", list(STEPS))
def test_every_step_applies_to_every_member(made, three, samples, name) -> None:
    network = made(name)
    predictor = opened(network)
    x = torch.from_numpy(samples.x)
    before, after = opened(three[1]).logits(x), predictor.logits(x)
    assert predictor.spec.members == 3
    assert after.shape == before.shape
    if name not in ("fold", "onnx"):
        assert all(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    if name not in ("prune", "taylor"):  # unrepaired
        accuracy = [(row.argmax(dim=1).numpy() == samples.y).mean() for row in after]
        assert min(accuracy) > 0.6
    one = torch.cat([predictor.logits(item[None]) for item in x[:20]], dim=1)
    if name != "dynamic":  # its scales are of the batch
        torch.testing.assert_close(one, after[:, :20], rtol=1e-4, atol=1e-4 * float(after.std()))


@pytest.mark.parametrize("name", ["onnx", "onnx8"])
@pytest.mark.parametrize("combine", ["mean_probability", "mean_logit"])
def test_the_view_is_of_the_combination(made, samples, name, combine) -> None:
    network = made(name)
    predictor = opened(replace(network, input=replace(network.input, combine=combine)))
    few = samples.x[:16]
    with gradient_view(predictor, Context(seed=0, trial=few)) as view:
        (logits,) = view.each_batch(lambda x: (view.module(x),), few)
    np.testing.assert_allclose(
        torch.from_numpy(logits).log_softmax(1), log_probabilities(predictor, few), rtol=1e-3, atol=1e-3
    )


def test_gradients_are_the_expectation_over_members(three, samples) -> None:
    """d log mean p / dx = sum_k p_k / sum_k p_k times d log p_k / dx."""
    members, network = three
    x = torch.from_numpy(samples.x[:8]).requires_grad_()
    y = torch.from_numpy(samples.y[:8])
    view = opened(network).differentiable()
    (found,) = torch.autograd.grad(view(x).log_softmax(1)[range(8), y].sum(), x)
    logs, gradients = [], []
    for member in members:
        log = opened(member).differentiable()(x).log_softmax(1)[range(8), y]
        gradients.append(torch.autograd.grad(log.sum(), x)[0])
        logs.append(log.detach())
    weights = torch.stack(logs).softmax(dim=0)[:, :, None, None, None]
    torch.testing.assert_close(found, (weights * torch.stack(gradients)).sum(dim=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["fold", "onnx8"])
def test_attacks_are_of_the_combination(made, three, samples, name) -> None:
    """Judged on it, and stronger on it than what an attack on one of its members finds."""
    few, predictor = samples.take(slice(0, 60)), opened(made(name))
    metric = RobustError(epsilon=0.15, attacks=("apgd-ce[steps=10]", "square[queries=40]"))
    arrays = answers(metric, predictor, few)
    clean = log_probabilities(predictor, few.x).argmax(axis=1) == few.y
    np.testing.assert_array_equal(arrays["clean_correct"].astype(bool), clean)
    wrong = arrays["robust_wrong"].mean()
    assert wrong > 0.3 + (1 - clean.mean())
    with gradient_view(opened(three[0][0]), Context(seed=0, trial=few.x)) as view:
        asked = asked_of(predictor, few, few.y, Context(seed=0), norm="linf", epsilon=0.15, view=view)
        transferred = run_cascade(asked, declared_attacks(["apgd-ce[steps=10]"], "linf"))
    assert wrong > 1 - transferred.robust.mean() + 0.1
    assert answers(Members(), predictor, few)["mutual_information"].max() > 0.01


def test_what_does_not_fit_is_refused(three) -> None:
    members, network = three
    for wrong, given in ((replace(network.input, members=2), network.module), (network.input, members[0].module)):
        with pytest.raises(UserError, match=rf"it must be \(1, {wrong.members}, 10\)"):
            opened(TorchNetwork(given, wrong))


def test_combinations_by_hand() -> None:
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]])
    p = (torch.softmax(torch.tensor([2.0, 0.0]), 0) + torch.softmax(torch.tensor([0.0, 1.0]), 0)) / 2
    torch.testing.assert_close(combined(logits).exp()[0], p)
    assert combined(logits, "mean_logit").tolist() == [[1.0, 0.5]]


def test_a_file_whose_members_are_not_declared_is_refused_with_the_declaration_that_is_right(made) -> None:
    network = made("onnx")
    assert probe_answer(network.model, network.input, "x.onnx").classes == 10
    with pytest.raises(UserError, match=r"input = \{ members = 3 \}"):
        probe_answer(network.model, replace(network.input, members=1), "x.onnx")

"""Planted masking is called so, and what a sound network withstands is not doubted."""

from __future__ import annotations

import copy
import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.in_memory import answers
from bench.functional.attacks.masking_verdict import masking_verdict
from bench.metrics.adversarial.masking import GradientMasking
from bench.networks.network import TorchNetwork
from bench.probes.masking import Masking
from bench.runtimes.opening import open_predictor
from tests.zoo import TARGETS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SEEDS = range(int(os.environ.get("CRBENCH_MASKING_SEEDS", "1")))
# Half the distance of two of three levels, and a little: any pixel can cross to the next level, so that rounding takes
# no perturbation away, it only hides the gradient. Within .2 rounding truly protects a tenth of the digits.
METRIC = GradientMasking(epsilon=0.26, steps=20, queries=300)


class Levels(torch.nn.Module):
    """Rounds an input in [0, 1] to three levels: a defence of which no gradient tells."""

    def forward(self, x):
        return (x * 2).round() / 2


class Signs(torch.nn.Module):
    """Binarised activations."""

    def forward(self, x):
        return torch.sign(x)


class Times(torch.nn.Module):
    """Logits times a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def planted(network: TorchNetwork, how: str) -> TorchNetwork:
    module, declared = copy.deepcopy(network.module), network.input
    if how == "three levels":
        module = torch.nn.Sequential(Levels(), module)
    elif how == "logits × 100":
        module = torch.nn.Sequential(module, Times(100.0))
    elif how == "softmax":
        module = torch.nn.Sequential(module, torch.nn.Softmax(dim=1))
        declared = replace(declared, output="probabilities")
    elif how == "binarised":
        names = [name for name, layer in module.named_modules() if isinstance(layer, torch.nn.ReLU)]
        setattr(module, names[-1], Signs())
    return TorchNetwork(module.eval(), declared)


def measured(network, parent, samples, metric=METRIC):
    of_network, of_parent = (open_predictor(item, TARGETS["torch"]) for item in (network, parent))
    arrays = answers(metric, of_network, samples, of_parent if network is not parent else of_network)
    return metric.details(arrays), float(arrays["reported_wrong"].mean())


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_masking_is_called_so_and_plain_networks_are_not(seed, zoo, samples, digits) -> None:
    parent = zoo("small", seed)
    eight = run_step(steps.get("ptq")(bits=8), parent, StepContext(digits.train, digits.calibration, None, 0))
    told, error = measured(parent, parent, samples)
    quantised, _ = measured(eight, parent, samples)
    assert [told["verdict"], quantised["verdict"]] == ["sound", "sound"], (told["reasons"], quantised["reasons"])
    for how in ("three levels", "logits × 100", "softmax", "binarised"):
        found, reported = measured(planted(parent, how), parent, samples)
        assert found["verdict"] in ("suspect", "masked"), (how, found)
        assert found["reasons"]
        assert how == "binarised" or reported >= error - 0.05, (how, reported, error)


def test_a_network_that_rounds_in_onnx_runtime_is_sound_too(predictors, samples) -> None:
    arrays = answers(METRIC, predictors["onnx8"], samples, predictors["onnx"])
    assert METRIC.details(arrays)["verdict"] == "sound"


@pytest.mark.parametrize(
    ("changed", "verdict", "word"),
    [
        ({}, "sound", ""),
        ({"square": 20}, "masked", "Square, without gradients: 20 of 100"),
        ({"transferred": 7}, "suspect", "inputs found on the reference: 7 of 100"),
        ({"noise": 20}, "masked", "random noise"),
        ({"adaptive": 12}, "masked", "Auto-PGD"),
        ({"unbounded": 92}, "suspect", "8 of 100 withstand Auto-PGD over the whole range"),
        ({"zero_gradient": 15}, "suspect", "15 of 100 gradients of the cross-entropy are zero"),
        ({"zero_gradient": 70}, "masked", "70 of 100 gradients of the cross-entropy are zero"),
        ({"rising": 80}, "suspect", "the loss of 80 of 100 still rises"),
        ({"softmax": 100}, "suspect", "it ends in a Softmax"),
        ({"square": 3}, "sound", ""),
    ],
)
def test_the_verdict_by_hand(changed, verdict, word) -> None:
    """A hundred attacked samples beside ten wrong ones; all stay right but the first few of each changed flag."""
    flags = {}
    for name in Masking.arrays:
        fallen = name in ("zero_gradient", "rising", "softmax")
        flags[name] = np.zeros(110) if fallen else np.r_[np.ones(100), np.zeros(10)]
    flags["unbounded_correct"] = np.zeros(110)
    for key, count in changed.items():
        name = key if key in flags else f"{key}_correct"
        flags[name][:count] = 0.0 if name.endswith("_correct") and key != "unbounded" else 1.0
        if key == "unbounded":
            flags[name][:count] = 0.0
            flags[name][count:100] = 1.0
    found = masking_verdict(flags)
    assert found.verdict == verdict, found
    assert not word or any(re.search(word, reason) for reason in found.reasons), found

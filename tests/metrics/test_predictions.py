from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.special import softmax

from bench.engine.in_memory import answers
from bench.metrics.fidelity.predictions import Predictions
from bench.networks.network import TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from tests.metrics.asking import distance
from tests.metrics.ensemble import Ensemble

VALUES = {value.name: value for value in Predictions.values}


def test_members_are_combined_by_their_mean_probability(predictors, samples) -> None:
    pair = [predictors["reference"], predictors["retrained"]]
    shown = answers(Predictions(), Ensemble(*pair), samples)
    expected = np.mean([softmax(one.logits(torch.from_numpy(samples.x))[0].numpy(), axis=1) for one in pair], axis=0)
    np.testing.assert_allclose(np.exp(shown["log_probabilities"]), expected, rtol=1e-5)


def test_a_shift_of_all_logits_is_no_change(networks, predictors, samples) -> None:
    module = copy.deepcopy(networks["reference"].module)
    last = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias += 5.0
    shifted = open_predictor(TorchNetwork(module, networks["reference"].input), Target(name="torch"))
    a = answers(Predictions(), predictors["reference"], samples)
    b = answers(Predictions(), shifted, samples)
    assert distance(VALUES["logit_relative_error"], a, b).max() < 1e-5
    assert distance(VALUES["js"], a, b).max() < 1e-9
    assert distance(VALUES["flip_rate"], a, b).max() == 0


def test_runtimes_agree_and_fewer_bits_change_more(predictors, samples) -> None:
    shown = {
        name: answers(Predictions(), predictors[name], samples)
        for name in ("reference", "onnx", "onnx8", "ptq4", "retrained")
    }
    js = {name: distance(VALUES["js"], shown["reference"], shown[name]).mean() for name in shown}
    assert js["reference"] == 0
    assert js["onnx"] < 1e-9
    assert js["onnx"] < js["onnx8"] < js["ptq4"] < js["retrained"]


def test_a_network_that_gives_no_numbers_is_an_error(linear, rows) -> None:
    broken = linear(np.array([[np.nan], [0.0]]))
    with pytest.raises(FloatingPointError, match="NaN"):
        answers(Predictions(), broken, rows([[1.0]]))

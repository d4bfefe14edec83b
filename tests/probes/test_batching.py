from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from bench.probes.batching import batch_size
from bench.probes.gradient_view import gradient_view
from bench.probes.logits import log_probabilities


def test_the_batch_depends_on_the_network_and_never_on_the_samples(predictors, monkeypatch) -> None:
    predictor = predictors["reference"]
    assert batch_size(predictor) == 128
    monkeypatch.setattr(predictor, "batch_size", 20)
    assert batch_size(predictor) == 10
    large = replace(predictor.spec, input=replace(predictor.spec.input, shape=(3, 1024, 1024)))
    monkeypatch.setattr(predictor, "spec", large)
    assert batch_size(predictor) == 1
    monkeypatch.setattr(predictor, "spec", replace(large, batch_dependent=True))
    assert batch_size(predictor) == 1


def test_every_batch_has_the_same_number_of_rows(predictors, samples, monkeypatch) -> None:
    predictor, seen = predictors["reference"], []
    forward = predictor.forward
    monkeypatch.setattr(predictor, "forward", lambda x: seen.append(len(x)) or forward(x))
    log_probabilities(predictor, np.concatenate([samples.x, samples.x])[:150])
    with gradient_view(predictor) as view:
        view.each_batch(lambda x: (view.module(x),), samples.x[:3])
    assert seen == [128, 128, 128]


def test_columns_come_back_whole_and_in_order(predictors, samples) -> None:
    x = np.concatenate([samples.x, samples.x])[:150]
    with gradient_view(predictors["reference"]) as view:
        doubled, again = view.each_batch(lambda a, b: (a * 2, b), x, np.arange(150))
    np.testing.assert_array_equal(doubled, 2 * x)
    np.testing.assert_array_equal(again, np.arange(150))


def test_log_probabilities_are_those_of_the_predictor(predictors, samples) -> None:
    expected = predictors["onnx8"].logits(torch.from_numpy(samples.x))[0].double().log_softmax(dim=1).numpy()
    np.testing.assert_allclose(log_probabilities(predictors["onnx8"], samples.x), expected, rtol=1e-4, atol=1e-4)


def test_threads_are_put_back(predictors) -> None:
    before = torch.get_num_threads()
    with gradient_view(predictors["reference"]):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from bench.data.base import Samples
from bench.engine.asking import block_size
from bench.errors import NotApplicable, UserError
from bench.functional.corruptions.base import corrupt, corruptions
from bench.metrics.adversarial.corruptions import Corruptions
from bench.networks.network import InputSpec
from bench.probes.base import Context
from bench.probes.corrupted_logits import KINDS, CorruptedLogits
from bench.probes.logits import log_probabilities
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from tests.zoo import TorchNetwork


def ask(probe, predictor, samples, seed=0):
    return probe.ask(predictor, samples, Context(seed)).arrays["corrupted_log_probabilities"]


def test_by_default_it_asks_of_every_corruption_there_is():
    assert sorted(KINDS) == corruptions.names()
    assert CorruptedLogits().severities == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("network", ["reference", "onnx8"])
def test_each_answer_is_that_on_the_corrupted_image(predictors, samples, network):
    few = samples.take(slice(0, 20))
    found = ask(CorruptedLogits(kinds=("shift", "shot-noise"), severities=(5, 2, 3)), predictors[network], few, seed=4)
    assert found.shape == (20, 2, 3, 10)
    for row, kind in enumerate(("shift", "shot-noise")):
        for column, level in enumerate((5, 2, 3)):
            x = corrupt(few.x, kind, corruptions.get(kind).severities[level - 1], few.ids, seed=4)
            np.testing.assert_array_equal(found[:, row, column], log_probabilities(predictors[network], x))


def test_the_seed_matters_where_chance_does(predictors, samples):
    few = samples.take(slice(0, 5))
    probe = CorruptedLogits(kinds=("contrast", "rotation"), severities=(3,))
    one, two = (ask(probe, predictors["reference"], few, seed) for seed in (0, 1))
    np.testing.assert_array_equal(one[:, 0], two[:, 0])
    assert (one[:, 1] != two[:, 1]).any()


def test_vectors_have_no_such_corruptions(samples):
    from torch import nn

    vectors = Samples(samples.ids, samples.x.reshape(len(samples), -1), samples.y)
    network = TorchNetwork(nn.Linear(64, 10), InputSpec((64,), tuple(map(str, range(10)))))
    with pytest.raises(NotApplicable, match=r"needs images \(channels, height, width\); samples have shape \(64,\)"):
        ask(CorruptedLogits(), open_predictor(network, Target(name="torch")), vectors)


def test_images_of_two_channels_are_refused_by_jpeg_alone(samples):
    from torch import nn

    two = Samples(samples.ids, np.repeat(samples.x, 2, axis=1), samples.y).take(slice(0, 4))
    network = nn.Sequential(nn.Flatten(), nn.Linear(128, 10))
    predictor = open_predictor(
        TorchNetwork(network, InputSpec((2, 8, 8), tuple(map(str, range(10))))), Target(name="torch")
    )
    with pytest.raises(NotApplicable, match="jpeg knows images of 1 or 3 channels; these have 2"):
        ask(CorruptedLogits(), predictor, two)
    rest = tuple(kind for kind in KINDS if kind != "jpeg")
    assert np.isfinite(ask(CorruptedLogits(kinds=rest, severities=(1,)), predictor, two)).all()


def test_pixels_outside_the_bounds_are_the_users_mistake(predictors, samples):
    wrong = replace(samples.take(slice(0, 3)), x=samples.x[:3] + 1)
    with pytest.raises(UserError, match="pixels lie outside the declared bounds"):
        ask(CorruptedLogits(), predictors["reference"], wrong)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kinds": ("fog", "jpg")}, "unknown corruption 'fog'; known: brightness"),
        ({"kinds": ("jpg",)}, "unknown corruption 'jpg'; did you mean 'jpeg'"),
        ({"kinds": ("shift", "jpeg", "shift")}, "one is named twice"),
        ({"kinds": ()}, "at least 1 item"),
        ({"severities": (0,)}, "greater than or equal to 1"),
        ({"severities": (6,)}, "less than or equal to 5"),
        ({"severities": (2, 2)}, "one is named twice"),
    ],
)
def test_what_it_refuses(given, message):
    with pytest.raises(ValidationError, match=message):
        CorruptedLogits(**given)


def test_blocks_are_smaller_where_answers_are_large(predictors):
    assert CorruptedLogits().entries(64, 10) == 11 * 5 * 10
    assert CorruptedLogits(kinds=("jpeg",), severities=(1, 2)).entries(64, 1000) == 2000
    assert block_size(CorruptedLogits(), predictors["reference"]) < block_size(
        CorruptedLogits(kinds=("jpeg",), severities=(1,)), predictors["reference"]
    )


def test_another_table_is_another_question(monkeypatch):
    probe = CorruptedLogits(kinds=("jpeg", "shift"), severities=(1, 4))
    before = probe.parameters()
    assert before["strengths"] == {"jpeg": [0.5, 0.9], "shift": [2 / 28, 6 / 28]}
    monkeypatch.setattr(corruptions.get("jpeg"), "severities", (0.5, 0.6, 0.7, 0.8, 0.95))
    assert probe.parameters() != before
    assert "strengths" not in Corruptions().parameters()

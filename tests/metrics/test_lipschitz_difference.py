"""The largest distance of two networks around samples, on networks of both runtimes."""

from __future__ import annotations

import numpy as np
import pytest

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.engine.in_memory import answers
from bench.metrics.lipschitz.difference import LipschitzDifference
from bench.runtimes.base import Predictor, Target
from bench.runtimes.opening import open_predictor

METRIC = LipschitzDifference(starts=2, steps=10)


@pytest.fixture
def few(samples):
    return samples.take(slice(0, 3))


@pytest.fixture
def made(networks, digits):
    def make(step, **options) -> Predictor:
        context = StepContext(digits.train, digits.calibration, None, 0)
        return open_predictor(
            run_step(steps.get(step)(**options), networks["reference"], context), Target(name="torch")
        )

    return make


def test_a_network_does_not_differ_from_itself(predictors, few) -> None:
    shown = answers(METRIC, predictors["reference"], few, predictors["reference"])
    for name in ("lower_l2", "certified_l2", "lower_linf", "certified_linf"):
        assert not shown[name].any()


def test_both_ends_enclose_it_and_more_bits_are_nearer(predictors, made, few) -> None:
    last = np.full(len(few), np.inf)
    for bits in (2, 4, 8):
        shown = answers(METRIC, made("ptq", bits=bits, weights_only=True), few, predictors["reference"])
        assert (shown["lower_l2"] > 0).all()
        assert (shown["lower_l2"] <= shown["certified_l2"]).all()
        assert (shown["lower_linf"] <= shown["certified_linf"]).all()
        assert (shown["certified_linf"] <= shown["certified_l2"]).all()
        assert (shown["certified_l2"] < last).all()
        last = shown["lower_l2"]
        assert shown.notes["not_applicable"] == {}
        print(bits, shown["lower_l2"], shown["by_method"], shown["kept"])

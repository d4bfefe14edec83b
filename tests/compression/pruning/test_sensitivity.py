"""The scan measures what really happens to the network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.compression.chains import run_step
from bench.compression.pruning.sensitivity import RATIOS, prune_sensitivity
from bench.compression.restoring import to_bytes
from bench.compression.structured_prune import StructuredPrune
from bench.errors import UserError
from bench.models.training import accuracy


def test_each_figure_is_that_of_the_pruned_network(network, context):
    before = to_bytes(network)
    curves = prune_sensitivity(network, context.calibration, (0.25, 0.5), measure="accuracy")
    assert set(curves) == {"conv1", "conv2"}
    for layer, curve in curves.items():
        for ratio, found in curve.items():
            made = run_step(StructuredPrune(layers={layer: ratio}), network, context)
            assert found == accuracy(made.module, context.calibration, network.input)
    assert to_bytes(network) == before


def test_divergence_by_hand_and_growing(network, context, digits):
    curves = prune_sensitivity(network, context.calibration, (0.0, 0.5), seed=1)
    made = run_step(StructuredPrune(layers={"conv2": 0.5}), network, context)
    x = torch.from_numpy(context.calibration.x)
    with torch.no_grad():
        p, q = (each.module(x).double().softmax(1) for each in (network, made))
    assert curves["conv2"][0.5] == pytest.approx(float((p * (p / q).log()).sum(1).mean()), rel=1e-6)
    assert curves["conv2"][0.0] == pytest.approx(0, abs=1e-12)
    all_of_it = prune_sensitivity(network, context.calibration)
    assert list(all_of_it["conv1"]) == list(RATIOS)
    for curve in all_of_it.values():
        assert curve[0.9] > curve[0.1]
        assert np.isfinite(list(curve.values())).all()


def test_accuracy_needs_labels_and_divergence_does_not(network, context):
    unlabelled = replace(context.calibration, y=None)
    with pytest.raises(UserError, match="needs labelled samples"):
        prune_sensitivity(network, unlabelled, (0.5,), measure="accuracy")
    assert prune_sensitivity(network, unlabelled, (0.5,)) == prune_sensitivity(network, context.calibration, (0.5,))

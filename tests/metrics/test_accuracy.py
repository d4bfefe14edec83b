from __future__ import annotations

import numpy as np
import torch

from bench.engine.in_memory import answers
from bench.metrics.fidelity.accuracy import Accuracy
from tests.metrics.asking import figure


def test_it_is_the_share_of_right_answers(predictors, samples) -> None:
    shown = answers(Accuracy(), predictors["reference"], samples)
    classes = predictors["reference"].logits(torch.from_numpy(samples.x))[0].argmax(dim=1).numpy()
    (value,) = Accuracy.values
    found = figure(value, shown)[0]
    assert found == (classes == samples.y).mean()
    assert 0.8 < found < 1


def test_ties_go_to_the_first_class(linear, rows) -> None:
    shown = answers(Accuracy(), linear(np.zeros((3, 2))), rows(np.ones((3, 2)), [0, 1, 2]))
    assert shown["correct"].tolist() == [1, 0, 0]

from __future__ import annotations

import numpy as np
import torch

from bench.metrics.fidelity.accuracy import Accuracy


def test_it_is_the_share_of_right_answers(predictors, samples, observing) -> None:
    shown = Accuracy().observe(predictors["reference"], samples, observing)
    classes = predictors["reference"].logits(torch.from_numpy(samples.x))[0].argmax(dim=1).numpy()
    (value,) = Accuracy.values
    found = value.statistic(shown, np.ones((1, len(samples))))[0]
    assert found == (classes == samples.y).mean()
    assert 0.8 < found < 1


def test_ties_go_to_the_first_class(linear, rows, observing) -> None:
    shown = Accuracy().observe(linear(np.zeros((3, 2))), rows(np.ones((3, 2)), [0, 1, 2]), observing)
    assert shown["correct"].tolist() == [1, 0, 0]

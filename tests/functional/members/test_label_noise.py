"""Symmetric label noise: closed forms, the anchors of the field, and draws that belong to a sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from bench.functional.members.label_noise import bayes_probabilities, noise_entropy, noisy_labels


@pytest.mark.parametrize(("rate", "nats"), [(0.1, 0.545), (0.2, 0.940), (0.4, 1.552)])
def test_the_anchors_of_ten_classes(rate, nats):
    assert noise_entropy(10, rate) == pytest.approx(nats, abs=5e-4)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_entropy_is_that_of_the_probabilities(classes, share):
    rate = share * (classes - 1) / classes
    table = bayes_probabilities(np.arange(classes), classes, rate)
    assert table.sum(axis=1) == pytest.approx(1.0)
    assert entropy(table, axis=1) == pytest.approx(noise_entropy(classes, rate))
    assert (table.argmax(axis=1) == np.arange(classes)).all() or share == 1.0
    if share == 1.0:
        assert noise_entropy(classes, rate) == pytest.approx(np.log(classes))


def test_noisy_labels_follow_the_probabilities():
    n, rate = 20_000, 0.4
    clean = np.arange(n) % 4
    noisy = noisy_labels(clean, 4, rate, [f"data/{i}" for i in range(n)], seed=1)
    for label in range(4):
        found = np.bincount(noisy[clean == label], minlength=4) / (n / 4)
        assert found == pytest.approx(bayes_probabilities(np.array([label]), 4, rate)[0], abs=0.03)  # 4 errors
    loss = -np.log(bayes_probabilities(clean, 4, rate)[np.arange(n), noisy])
    assert loss.mean() == pytest.approx(noise_entropy(4, rate), abs=4 * loss.std() / n**0.5)


def test_noise_belongs_to_a_sample_and_grows_with_the_rate():
    ids, clean = [f"data/{i}" for i in range(400)], np.arange(400) % 10
    few, many = (noisy_labels(clean, 10, rate, ids, seed=0) for rate in (0.1, 0.4))
    assert 0 < (few != clean).sum() < (many != clean).sum()
    assert (many[few != clean] == few[few != clean]).all()
    order = np.random.default_rng(0).permutation(400)[:100]
    assert (noisy_labels(clean[order], 10, 0.4, [ids[i] for i in order], seed=0) == many[order]).all()
    assert (noisy_labels(clean, 10, 0.4, ids, seed=1) != many).any()


def test_what_is_no_noise_is_refused():
    for classes, rate in ((10, 0.95), (10, -0.1), (1, 0.0), (10, float("nan"))):
        with pytest.raises(ValueError, match="is needed"):
            noise_entropy(classes, rate)
    for labels in (np.array([3]), np.array([-1]), np.array([0.0]), np.zeros((2, 2), dtype=int)):
        with pytest.raises(ValueError, match="from 0 to 2"):
            bayes_probabilities(labels, 3, 0.1)
    with pytest.raises(ValueError, match="2 labels and 1 ids"):
        noisy_labels(np.array([0, 1]), 3, 0.1, ["a"], 0)

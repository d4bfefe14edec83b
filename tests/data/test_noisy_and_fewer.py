"""Noisy labels and fewer samples: the right share, the same images, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.digits import Digits
from bench.data.fewer_samples import FewerSamples
from bench.data.noisy_labels import NoisyLabels
from bench.errors import UserError
from bench.functional.members.label_noise import noisy_labels


def test_noise_is_in_all_splits_and_leaves_the_images() -> None:
    whole, noisy = Digits().load(900, 128), NoisyLabels(of="digits", rate=0.3).load(900, 128)
    for name in ("train", "calibration", "evaluation"):
        clean, other = getattr(whole, name), getattr(noisy, name)
        assert other.ids == clean.ids
        assert np.array_equal(other.x, clean.x)
        assert np.array_equal(other.y, noisy_labels(clean.y, 10, 0.3, clean.ids, 0))
        assert abs((other.y != clean.y).mean() - 0.3) < 4 * np.sqrt(0.21 / len(clean))
    assert noisy.name == "digits, 30% of labels wrong"


def test_without_noise_nothing_changes_but_the_name() -> None:
    whole, noisy = Digits().load(300, 60), NoisyLabels(of="digits", rate=0.0).load(300, 60)
    assert noisy.evaluation.labels_fingerprint == whole.evaluation.labels_fingerprint


def test_other_seeds_are_other_labels() -> None:
    first, second = (NoisyLabels(of="digits", rate=0.3, seed=seed).load(300, 60) for seed in (0, 1))
    assert not np.array_equal(first.evaluation.y, second.evaluation.y)


def test_a_smaller_part_lies_in_a_larger_one_and_all_splits_else_are_the_same() -> None:
    whole = Digits().load(300, 60)
    few, more = (FewerSamples(of="digits", train=count).load(300, 60) for count in (50, 200))
    assert (len(few.train), len(more.train)) == (50, 200)
    assert set(few.train.ids) < set(more.train.ids) < set(whole.train.ids)
    assert few.evaluation.inputs_fingerprint == whole.evaluation.inputs_fingerprint
    labels = dict(zip(whole.train.ids, whole.train.y.tolist(), strict=True))
    assert few.train.y.tolist() == [labels[name] for name in few.train.ids]
    other = FewerSamples(of="digits", train=50, seed=1).load(300, 60)
    assert set(other.train.ids) != set(few.train.ids)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: NoisyLabels(of="digit", rate=0.1), "data.of: unknown loader 'digit'"),
        (lambda: NoisyLabels(of="digits", rate=0.95), "data.rate: 0.95 is more than 0.9"),
        (lambda: NoisyLabels(of="digits", rate=0.1, options={"sed": 1}), "data.options: "),
        (lambda: FewerSamples(of="digits", train=5000), "data.train: 5000 samples to train on, 'digits' has "),
        (lambda: FewerSamples(of="digit", train=5), "data.of: unknown loader 'digit'"),
    ],
)
def test_what_cannot_be_is_said(made, message) -> None:
    with pytest.raises(UserError) as refused:
        made().load(300, 60)
    assert str(refused.value).startswith(message)


def test_data_without_labels_are_refused(tmp_path) -> None:
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((40, 1, 4, 4), dtype=np.float32))
    options = {"path": str(tmp_path / "x.npz"), "classes": ["a", "b"]}
    with pytest.raises(UserError, match="'npz' has no labels"):
        NoisyLabels(of="npz", rate=0.1, options=options).load(20, 0)

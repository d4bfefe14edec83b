"""Sets out of distribution: where they come from, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.data.base import Samples
from bench.data.digits import Digits
from bench.data.sources.base import Source, sources, with_sources
from bench.errors import UserError


@pytest.fixture(scope="module")
def data():
    return Digits().load(120, 40)


def made(data, name, **parameters):
    return with_sources(data, {"other": sources.get(name)(**parameters)}).sets["other"]


class Given(Source):
    """Whatever a test gives."""

    def __init__(self, x, ids=None):
        self.x, self.ids = np.asarray(x, dtype=np.float32), ids

    def samples(self, dataset, where):
        return Samples(self.ids or tuple(f"given/{row}" for row in range(len(self.x))), self.x, None)


def test_noise_is_each_samples_own_and_stays_in_the_bounds(data) -> None:
    noisy = made(data, "gaussian-noise", std=0.2)
    few = made(replace(data, evaluation=data.evaluation.take(np.array([7, 3]))), "gaussian-noise", std=0.2)
    np.testing.assert_array_equal(few.x, noisy.x[[7, 3]])
    assert noisy.ids[7] == f"gaussian-noise/{data.evaluation.ids[7]}"
    assert (noisy.x.min(), noisy.x.max()) == (0, 1)
    inner = (data.evaluation.x > 0.4) & (data.evaluation.x < 0.6)
    assert (noisy.x - data.evaluation.x)[inner].std() == pytest.approx(0.2, rel=0.1)
    assert (made(data, "gaussian-noise", std=0.2, seed=1).x != noisy.x).any()


def test_blur_keeps_the_mean_and_loses_contrast(data) -> None:
    blurred = made(data, "gaussian-blur", sigma=1.0)
    np.testing.assert_allclose(
        blurred.x.mean(axis=(1, 2, 3)), data.evaluation.x.mean(axis=(1, 2, 3)), atol=1e-5
    )  # mirrored edges lose nothing
    assert blurred.x.std() < 0.7 * data.evaluation.x.std()


def test_what_blur_leaves_as_it_is_is_no_other_sample(data) -> None:
    flat = Samples(("flat", "edge"), np.stack([np.full((1, 8, 8), 0.5), np.eye(8)[None]]).astype(np.float32), None)
    blurred = made(replace(data, evaluation=flat), "gaussian-blur", sigma=1.0)
    assert blurred.ids == ("gaussian-blur/edge",)


def test_classes_of_another_data_set(data) -> None:
    part = replace(data, evaluation=data.evaluation.take(np.flatnonzero(data.evaluation.y < 8)))
    held = made(part, "other-data", loader="digits", count=120, classes=["8", "9"])
    np.testing.assert_array_equal(held.x, data.evaluation.x[data.evaluation.y >= 8])
    assert held.y is None


def test_a_file_of_ones_own(data, tmp_path) -> None:
    np.savez(tmp_path / "mine.npz", x=np.zeros((3, 1, 8, 8), np.float32), y=np.array([0, 1, 2]))
    assert made(data, "npz-file", path=tmp_path / "mine.npz").ids == ("npz/000000", "npz/000001", "npz/000002")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Given(np.zeros((0, 1, 8, 8))), "ood.other: no samples; give at least one"),
        (Given(np.zeros((2, 1, 9, 8))), "ood.other: samples of shape (1, 9, 8); the data's are (1, 8, 8)"),
        (Given(np.full((2, 1, 8, 8), 2.0)), "ood.other: values lie in [2, 2], outside the bounds [0, 1]"),
        (Given(np.full((2, 1, 8, 8), np.nan)), "ood.other: 2 of 2 samples hold NaN or infinite values"),
        (Given(np.zeros((2, 1, 8, 8)), ("a", "a")), "ood.other: an id is given twice"),
    ],
)
def test_sets_that_are_none_are_refused(data, source, message) -> None:
    with pytest.raises(UserError) as raised:
        with_sources(data, {"other": source})
    assert str(raised.value).startswith(message)


def test_evaluation_samples_among_them_are_counted_and_refused(data) -> None:
    mixed = np.concatenate([data.evaluation.x[5:8], np.zeros((4, 1, 8, 8), np.float32)])
    with pytest.raises(UserError, match=r"^ood\.other: 3 of 7 samples are evaluation samples"):
        with_sources(data, {"other": Given(mixed)})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loader": "digit", "count": 5}, "did you mean 'digits'"),
        ({"loader": "digits", "count": 50, "classes": ["ten"]}, "ood.other.classes: no class 'ten'"),
        ({"loader": "digits", "count": 5, "options": {"sed": 1}}, "ood.other.options: "),
        ({"loader": "digits", "count": 5000}, "ood.other: digits.evaluation: 5000 + 0 samples asked"),
    ],
)
def test_another_data_set_that_cannot_be_had(data, parameters, message) -> None:
    with pytest.raises(UserError) as raised:
        made(data, "other-data", **parameters)
    assert message in str(raised.value)


def test_vectors_are_not_blurred(data) -> None:
    flat = data.evaluation.x.reshape(len(data.evaluation), -1)
    vectors = replace(data, evaluation=Samples(data.evaluation.ids, flat, None), input=replace(data.input, shape=(64,)))
    with pytest.raises(UserError, match="are no images"):
        made(vectors, "gaussian-blur", sigma=1.0)
    assert made(vectors, "gaussian-noise", std=0.1).x.shape == flat.shape

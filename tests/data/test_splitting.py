"""Splits are disjoint and fixed; bad datasets are refused in one line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.base import Dataset, Loader, Samples
from bench.data.splitting import check_dataset, load_dataset, split, stratified_order
from bench.errors import UserError
from bench.networks.network import InputSpec

DECLARED = InputSpec(shape=(1, 2, 2), classes=("a", "b"))


def samples(n, first=0, y=None):
    x = np.full((n, 1, 2, 2), 0.5, dtype=np.float32)
    labels = np.arange(n, dtype=np.int64) % 2 if y is None else np.asarray(y, dtype=np.int64)
    return Samples(tuple(f"s/{first + row}" for row in range(n)), x, labels)


def dataset(**parts):
    return Dataset(
        "toy", DECLARED, **({"train": samples(4), "calibration": samples(2, 4), "evaluation": samples(4, 6)} | parts)
    )


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 3))
def test_every_prefix_and_suffix_holds_the_classes_in_fair_shares(labels, seed):
    y = np.array(labels)
    order = stratified_order(y, len(y), "test", seed)
    assert sorted(order) == list(range(len(y)))
    for n in range(len(y) + 1):
        for part in (order[:n], order[len(y) - n :]):
            fair = np.bincount(y, minlength=5) * n / len(y)
            assert np.abs(np.bincount(y[part], minlength=5) - fair).max() <= 2.5


def test_the_order_depends_on_its_words_alone():
    y = np.arange(100) % 10
    one, two = stratified_order(y, 100, "digits", 0), stratified_order(y, 100, "digits", 1)
    assert (one == stratified_order(y, 100, "digits", 0)).all()
    assert (one != two).any()
    assert sorted(stratified_order(None, 100, "digits", 0)) == list(range(100))


@given(st.integers(1, 12), st.integers(0, 12))
def test_splits_are_disjoint_and_cover_the_source(evaluation, calibration):
    source = samples(30)
    order = stratified_order(source.y, 30, "test")
    if evaluation < 2:  # a class would be empty
        return
    made = split("toy", source, order, DECLARED, evaluation, calibration)
    parts = [set(made.train.ids), set(made.calibration.ids), set(made.evaluation.ids)]
    assert [len(part) for part in parts] == [30 - evaluation - calibration, calibration, evaluation]
    assert set.union(*parts) == set(source.ids)
    assert made.evaluation.ids == split("toy", source, order, DECLARED, evaluation, 0).evaluation.ids
    assert made.calibration.ids == split("toy", source, order, DECLARED, 2, calibration).calibration.ids


@pytest.mark.parametrize(
    ("evaluation", "calibration", "said"),
    [(25, 6, "25 + 6 samples asked, 'toy' has 30"), (0, 1, "0 samples asked"), (4, -1, "-1 samples asked")],
)
def test_more_than_there_is(evaluation, calibration, said):
    source = samples(30)
    with pytest.raises(UserError, match=said.replace("+", r"\+")):
        split("toy", source, np.arange(30), DECLARED, evaluation, calibration)


def with_x(part, x):
    return Samples(part.ids, np.asarray(x, dtype=np.float32), part.y)


BAD = {
    "shared sample": ({"calibration": samples(2, 0)}, "'s/0' is also in train"),
    "doubled id": ({"evaluation": Samples(("e", "e"), samples(2).x, samples(2).y)}, "'e' is also in evaluation"),
    "empty class": ({"evaluation": samples(4, 6, y=[0, 0, 0, 0])}, "1 of 2 classes: 'b'"),
    "no evaluation": ({"evaluation": samples(0)}, "no evaluation samples"),
    "NaN": ({"train": with_x(samples(4), np.full((4, 1, 2, 2), np.nan))}, "4 of 4 samples hold NaN"),
    "bounds": ({"train": with_x(samples(4), np.full((4, 1, 2, 2), 255))}, r"\[255, 255\], outside the bounds \[0, 1\]"),
    "shape": ({"train": with_x(samples(4), np.zeros((4, 1, 3, 3)))}, r"\(1, 3, 3\); give \(1, 2, 2\)"),
    "label": ({"train": samples(4, y=[0, 1, 2, 1])}, r"0\.\.2; give classes 0\.\.1"),
    "negative label": ({"train": samples(4, y=[0, 1, -1, 1])}, r"-1\.\.1"),
}


@pytest.mark.parametrize(("parts", "said"), BAD.values(), ids=BAD)
def test_bad_datasets_are_refused(parts, said):
    check_dataset(dataset())
    with pytest.raises(UserError, match=said) as error:
        check_dataset(dataset(**parts))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("data.")


def test_loaders_from_outside_are_checked_too():
    class Own(Loader):
        def load(self, evaluation, calibration):
            return dataset(evaluation=samples(4, 6, y=[1, 1, 1, 1]))

    with pytest.raises(UserError, match="1 of 2 classes: 'a'"):
        load_dataset(Own(), 4, 2)

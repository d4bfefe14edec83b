"""The digits: the right images, in splits fixed for ever."""

import subprocess
import sys

import numpy as np
import pydantic
import pytest
from sklearn.datasets import load_digits

from bench.data.base import loaders
from bench.data.digits import Digits
from bench.errors import UserError


@pytest.fixture(scope="module")
def digits():
    return Digits().load(360, 128)


def test_images_and_labels_are_those_of_the_source(digits):
    pixels, labels = load_digits(return_X_y=True)
    for part in (digits.train, digits.calibration, digits.evaluation):
        rows = [int(sample.removeprefix("digits/")) for sample in part.ids]
        np.testing.assert_array_equal(part.x.reshape(-1, 64) * 16, pixels[rows])
        np.testing.assert_array_equal(part.y, labels[rows])
        assert part.x.dtype == np.float32
        assert part.x.min() >= 0
        assert part.x.max() <= 1
    assert digits.input.shape == (1, 8, 8)
    assert digits.input.classes == tuple("0123456789")


def test_splits_are_disjoint_and_whole(digits):
    parts = [digits.train.ids, digits.calibration.ids, digits.evaluation.ids]
    assert [len(part) for part in parts] == [1309, 128, 360]
    assert len(set().union(*parts)) == 1797


def test_the_first_n_are_the_same_whatever_else_is_asked(digits):
    assert Digits().load(100, 50).evaluation.ids == digits.evaluation.ids[:100]
    assert Digits().load(360, 400).evaluation.ids == digits.evaluation.ids
    assert Digits().load(700, 128).calibration.ids == digits.calibration.ids


def test_the_split_is_fixed_for_ever(digits):
    """Results of old runs are compared by sample id: a changed split must be a decision."""
    assert digits.evaluation.ids[:4] == ("digits/0652", "digits/1141", "digits/0100", "digits/1427")
    assert digits.fingerprint == "ac29278bf7fc6791dddbf70fdc96237c13b7a28acfd99c09f5acec2c3c763753"
    assert Digits(seed=1).load(360, 128).fingerprint != digits.fingerprint


def test_every_hundred_holds_every_class(digits):
    for start in range(0, 300, 100):
        counts = np.bincount(digits.evaluation.y[start : start + 100], minlength=10)
        assert counts.min() >= 8
        assert counts.max() <= 12


def test_errors():
    with pytest.raises(UserError, match="1700 \\+ 128 samples asked, 'digits' has 1797"):
        Digits().load(1700, 128)
    with pytest.raises(UserError, match="of 10 classes"):
        Digits().load(5, 0)
    with pytest.raises(pydantic.ValidationError):
        Digits(seed=-1)
    assert loaders.get("digits") is Digits


def test_scikit_learn_is_imported_only_where_its_file_is_elsewhere(digits, monkeypatch):
    code = "import sys; from bench.data.digits import Digits; Digits().load(360, 128); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    monkeypatch.setattr("bench.data.digits.find_spec", lambda name: None)
    assert Digits().load(360, 128).fingerprint == digits.fingerprint

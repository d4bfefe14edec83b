"""Data without some of its classes, and those classes out of distribution."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.digits import Digits
from bench.data.held_out import HeldOutClasses
from bench.data.sources.base import sources, with_sources
from bench.errors import UserError


def test_no_split_holds_such_a_class_and_the_others_keep_their_labels() -> None:
    data, whole = HeldOutClasses(of="digits", held_out=("3", "9")).load(200, 60), Digits().load(400, 60)
    assert data.input.classes == ("0", "1", "2", "4", "5", "6", "7", "8")
    assert (len(data.evaluation), len(data.calibration)) == (200, 60)
    names = {
        sample: whole.input.classes[label]
        for sample, label in zip(whole.evaluation.ids, whole.evaluation.y, strict=True)
    }
    for sample, label in zip(data.evaluation.ids, data.evaluation.y, strict=True):
        assert data.input.classes[label] == names[sample]
    every = [*data.train.ids, *data.calibration.ids, *data.evaluation.ids]
    assert len(set(every)) == len(every)
    assert len(data.train) > 1000
    assert (np.bincount(data.train.y, minlength=8) > 0).all()


def test_held_out_classes_are_out_of_distribution() -> None:
    data = HeldOutClasses(of="digits", held_out=("9",)).load(200, 0)
    other = sources.get("other-data")(loader="digits", count=1797, classes=("9",))
    assert len(with_sources(data, {"nines": other}).sets["nines"]) == 180


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"of": "digit", "held_out": ("9",)}, "data.of: unknown loader 'digit'"),
        ({"of": "digits", "held_out": ("nine",)}, "data.held_out: no class 'nine'"),
        ({"of": "digits", "held_out": tuple("0123456789")}, "data.held_out: every class is left out"),
        ({"of": "digits", "held_out": ("9",), "options": {"sed": 1}}, "data.options: "),
    ],
)
def test_what_cannot_be_held_out_is_said(parameters, message) -> None:
    with pytest.raises(UserError) as raised:
        HeldOutClasses(**parameters).load(100, 20)
    assert str(raised.value).startswith(message)

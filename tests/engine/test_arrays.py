"""Derived arrays: when they are made, how often, in which blocks, and under which keys."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from bench.data.base import Samples
from bench.engine import row_blocks
from bench.engine.arrays import Memo, NetworkArrays, by_rows
from bench.engine.observed import Observed
from bench.errors import NotApplicable
from bench.metrics.base import Metric
from bench.metrics.values import IDS, LABELS, Derived, Mean, of_reference
from bench.probes.base import Observation, Probe
from bench.registry import parameters

calls: list[str] = []


def double(x):
    calls.append("double")
    return 2 * x


def less_mean(x):
    calls.append("less_mean")
    return x - x.mean()


def right(x, labels):
    return (x == labels).astype(float)


def apart(own, reference):
    return own - reference


@parameters
class Numbers(Probe):
    """Numbers."""

    arrays: ClassVar = ("x",)

    def ask(self, predictor, samples, context) -> Observation:
        raise AssertionError


@parameters
class Doubles(Metric):
    """Derived of derived arrays, of labels, ids, and the reference's."""

    family: ClassVar[Any] = "fidelity"
    probes: ClassVar[Any] = (Numbers(),)
    derived: ClassVar[Any] = (
        Derived("double", double, of="x"),
        Derived("centred", less_mean, of="double", rows=False),
        Derived("right", right, of=("x", LABELS)),
        Derived("named", right, of=("x", IDS)),
        Derived("apart", apart, of=("double", of_reference("double"))),
    )
    values: ClassVar[Any] = (Mean("centred", of="centred", better="lower"),)


def samples_of(labels, ids="abcd"):
    return Samples(tuple(ids), np.zeros((4, 1), np.float32), None if labels is None else np.asarray(labels))


def network(key, x, memo, labels=(0, 1, 2, 3), reference=None, ids="abcd"):
    answer = Observed(key, {"x": np.asarray(x, dtype=float)}, 0.0)
    return NetworkArrays(Doubles(), [(Numbers(), answer)], samples_of(labels, ids), memo, reference)


def test_what_is_derived_is_made_when_it_is_read_and_once() -> None:
    calls.clear()
    shown = network("a", [0, 1, 2, 9], Memo())
    assert calls == []
    np.testing.assert_array_equal(shown["centred"], [-6, -4, -2, 12])
    assert calls == ["double", "less_mean"]
    assert shown["centred"] is shown["centred"]
    np.testing.assert_array_equal(shown["right"], [1, 1, 1, 0])
    assert calls == ["double", "less_mean"]


def test_it_serves_whatever_object_carries_the_same_answer() -> None:
    calls.clear()
    memo = Memo()
    assert network("a", [0, 1, 2, 9], memo)["double"] is network("a", [0, 1, 2, 9], memo)["double"]
    assert calls == ["double"]
    np.testing.assert_array_equal(network("b", [1, 1, 1, 1], memo)["double"], [2, 2, 2, 2])
    assert calls == ["double"] * 2


def test_labels_and_ids_are_part_of_the_keys_of_what_reads_them() -> None:
    memo = Memo()
    first, second = (network("a", [0, 1, 2, 9], memo, labels) for labels in ((0, 1, 2, 3), (0, 1, 2, 9)))
    assert first.key("double") == second.key("double")
    assert first.key("right") != second.key("right")
    np.testing.assert_array_equal(second["right"], [1, 1, 1, 1])
    np.testing.assert_array_equal(first["right"], [1, 1, 1, 0])
    assert first.key("named") == second.key("named") != network("a", [0, 1, 2, 9], memo, ids="abce").key("named")


def test_fewer_samples_have_other_keys() -> None:
    answer = Observed("a", {"x": np.arange(4.0)}, 0.0, rows=4)
    few = NetworkArrays(Doubles(), [(Numbers(), answer.first(2))], samples_of((0, 1, 2, 3)).take(slice(0, 2)), Memo())
    assert few.key("double") != network("a", np.arange(4.0), Memo()).key("double")
    np.testing.assert_array_equal(few["double"], [0, 2])


def test_the_references_arrays_are_the_references() -> None:
    memo = Memo()
    reference = network("r", [1, 1, 1, 1], memo)
    shown = network("a", [0, 1, 2, 9], memo, reference=reference)
    np.testing.assert_array_equal(shown["apart"], [-2, 0, 2, 16])
    np.testing.assert_array_equal(reference["apart"], [0, 0, 0, 0])
    other = network("a", [0, 1, 2, 9], memo, reference=network("s", [2, 2, 2, 2], memo))
    assert other.key("apart") != shown.key("apart")
    np.testing.assert_array_equal(other["apart"], [-4, -2, 0, 14])
    assert other.key(of_reference("double")) != shown.key(of_reference("double"))


def test_what_is_not_there_says_so() -> None:
    shown = network("a", [0, 1, 2, 9], Memo(), labels=None)
    with pytest.raises(NotApplicable, match=r"^needs labels; the data has none$"):
        shown["right"]
    with pytest.raises(KeyError):
        shown["nothing"]
    assert {name: name in shown for name in ("x", "double", "right", LABELS, IDS, "nothing")} == {
        "x": True, "double": True, "right": False, LABELS: False, IDS: True, "nothing": False
    }  # fmt: skip
    assert of_reference("double") in shown
    assert of_reference("nothing") not in shown
    assert list(shown) == ["x", "double", "centred", "right", "named", "apart"]


def test_rows_are_made_in_blocks_and_what_reads_other_rows_is_not(monkeypatch) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK", 6)  # of rows of 2 numbers: 3 rows
    x, sizes = np.arange(14.0).reshape(7, 2), []
    found = by_rows(lambda a, b: sizes.append(len(a)) or a.sum(axis=1) - b, [x, x[:, 0]])
    np.testing.assert_array_equal(found, x[:, 1])
    assert sizes == [3, 3, 1]
    monkeypatch.setattr(row_blocks, "BLOCK", 2)
    np.testing.assert_array_equal(network("a", [0, 1, 2, 9], Memo())["centred"], [-6, -4, -2, 12])


def test_the_memory_of_derived_arrays_is_limited_and_what_was_used_last_stays() -> None:
    memo, made = Memo(limit=3 * 80), []

    def get(key):
        return memo.get(key, lambda: made.append(key) or np.zeros(10))

    for key in "abcadab":
        get(key)
    assert made == list("abcdb")  # d sent b away, the one unused for longest
    large = Memo(limit=1)
    assert large.get("k", lambda: np.ones(100)).sum() == 100
    assert large.get("k", lambda: pytest.fail("made again")).sum() == 100

"""Blocks of samples: whose notes, whose trial, whose rows of what is needed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from bench.data.base import Samples
from bench.engine import asking
from bench.engine.asking import ENTRIES, STEP, ask_in_blocks, block_size
from bench.probes.base import Context, Observation, Probe
from bench.probes.jacobian import Jacobian
from bench.probes.logits import Logits
from bench.registry import parameters


@parameters
class Seen(Probe):
    """What it was given."""

    arrays: ClassVar = ("ids", "needed")
    notes: ClassVar = "same"

    def ask(self, predictor, samples, context) -> Observation:
        numbers = np.array([int(name.rsplit("/")[-1]) for name in samples.ids])
        needed = context.needed("other")["place"]
        assert (context.count, len(context.trial), context.seed) == (150, 64, 7)
        notes = {"same": {}, "first": {"first": int(numbers[0])}}[self.notes]
        return Observation({"ids": numbers, "needed": needed}, notes)


@parameters
class OfTheSet(Seen):
    """As ``Seen``, of the whole set."""

    reads: ClassVar = "set"
    notes: ClassVar = "first"


@parameters
class Unsteady(Seen):
    """Its notes are those of its samples."""

    notes: ClassVar = "first"


@parameters
class Tired(Probe):
    """Has nothing to say, and counts how often it is asked."""

    arrays: ClassVar = ("nothing",)

    def ask(self, predictor, samples, context) -> Observation:
        asked.append(len(samples))
        return Observation({}, {"first": samples.ids[0]})


asked: list[int] = []


@pytest.fixture
def many(samples):
    x = np.concatenate([samples.x, samples.x])[:150]
    return Samples(tuple(f"m/{i}" for i in range(150)), x, None)


@pytest.fixture
def context(many):
    needed = {"other": Observation({"place": np.arange(150) * 10}, {"said": "so"})}
    return Context(7, count=150, trial=many.x[:64], reference=needed)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(asking, "block_size", lambda probe, predictor: 40)


@pytest.mark.usefixtures("small_blocks")
def test_rows_are_joined_in_order_beside_their_rows_of_what_is_needed(predictors, many, context) -> None:
    found = ask_in_blocks(Seen(), predictors["reference"], many, context)
    np.testing.assert_array_equal(found.arrays["ids"], np.arange(150))
    np.testing.assert_array_equal(found.arrays["needed"], np.arange(150) * 10)
    assert found.notes == {}


@pytest.mark.usefixtures("small_blocks")
def test_notes_that_differ_between_blocks_are_an_error(predictors, many, context) -> None:
    with pytest.raises(RuntimeError, match=r"Unsteady' notes other things in other blocks of samples$"):
        ask_in_blocks(Unsteady(), predictors["reference"], many, context)


@pytest.mark.usefixtures("small_blocks")
def test_what_belongs_to_the_set_is_asked_at_once(predictors, many, context) -> None:
    assert ask_in_blocks(OfTheSet(), predictors["reference"], many, context).notes == {"first": 0}


@pytest.mark.usefixtures("small_blocks")
def test_a_network_that_has_nothing_to_say_is_not_asked_again(predictors, many, context) -> None:
    asked.clear()
    assert not ask_in_blocks(Tired(), predictors["reference"], many, context).arrays
    assert asked == [40]


def test_blocks_are_as_large_as_inputs_and_answers_allow(predictors) -> None:
    """Of 64 inputs and 10 classes: by inputs 131072 rows, by Jacobians 13107, in steps of 256."""
    predictor = predictors["reference"]
    assert block_size(Logits(), predictor) == ENTRIES // 64
    assert block_size(Jacobian(), predictor) == ENTRIES // 640 // STEP * STEP == 51 * STEP

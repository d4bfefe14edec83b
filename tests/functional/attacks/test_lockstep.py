"""Searches side by side: asked together, alone in what they find, ended together by an error."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from bench.functional.attacks.lockstep import in_lockstep


def counting(ask, turns):
    """Asks so many times, two numbers at once; gives what it was told."""
    return [ask(np.array([turn, turn + 0.5])).tolist() for turn in range(turns)]


@pytest.mark.parametrize("together", [1, 3, 64])
def test_each_gets_its_own_answers_in_as_few_batches_as_can_be(together):
    turns, sizes, where = [4, 0, 7, 1, 7], [], set()

    def answer(points):
        sizes.append(len(points))
        where.add(threading.current_thread())
        return points * 10

    found = in_lockstep([lambda ask, n=n: counting(ask, n) for n in turns], answer, together)
    assert found == [[[10.0 * turn, 10 * turn + 5.0] for turn in range(n)] for n in turns]
    assert where == {threading.current_thread()}
    assert sum(sizes) == 2 * sum(turns)
    assert max(sizes) == 2 * min(together, 4)
    if together == 64:
        assert len(sizes) == max(turns)


def test_nothing_to_search():
    assert in_lockstep([], lambda points: points) == []


def failing(ask):
    ask(np.zeros(1))
    raise LookupError("mine")


@pytest.mark.parametrize(
    ("last", "answer", "error"),
    [
        (failing, lambda points: points, LookupError),
        (lambda ask: counting(ask, 9), lambda points: 1 / 0, ZeroDivisionError),
    ],
)
def test_an_error_ends_all(last, answer, error):
    before = threading.active_count()
    with pytest.raises(error):
        in_lockstep([lambda ask: counting(ask, 50), lambda ask: counting(ask, 50), last], answer)
    assert threading.active_count() == before


def test_ctrl_c_ends_all():
    def answer(points):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        in_lockstep([lambda ask: counting(ask, 50)] * 5, answer)
    assert threading.active_count() == before

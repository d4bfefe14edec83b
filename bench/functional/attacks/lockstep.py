"""Searches of single samples, written as loops, whose questions to the network are asked together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Found = TypeVar("Found")
Answer: TypeAlias = NDArray[Any]
Ask: TypeAlias = Callable[[Answer], Answer]

TOGETHER: Final = 64  # searches that run at once


class _Abandoned(BaseException):
    """The others were ended by an error; no code of a search may take it for its own."""


class _Ended(NamedTuple, Generic[Found]):
    found: Found | None
    error: BaseException | None


def in_lockstep(
    searches: Sequence[Callable[[Ask], Found]], answer: Callable[[Answer], Answer], together: int = TOGETHER
) -> list[Found]:
    """Run searches side by side; as soon as all of them wait for an answer, their questions are asked in one batch.

    A library's loop over one sample asks one input at a time, a network answers many in about the same time. Each
    search runs in a thread of its own; ``answer`` is called in the caller's thread alone. What a search finds depends
    on its own answers.

    Args:
        searches: each is given ``ask``, which takes inputs (m, ...) and gives their answers (m, ...).
        answer: inputs of any number to answers, row by row.
        together: how many searches run at once.

    Raises:
        whatever a search or ``answer`` raised first, once all threads have ended.

    >>> def halving(ask, x): return x if ask(np.array([x]))[0] else halving(ask, x / 2)
    >>> in_lockstep([lambda ask, x=x: halving(ask, x) for x in (9.0, 1.0)], lambda x: x < 3)
    [2.25, 1.0]
    """
    told: SimpleQueue[tuple[int, Answer | _Ended[Found]]] = SimpleQueue()
    answers: dict[int, SimpleQueue[Answer | None]] = {}
    found: dict[int, Found] = {}
    left = iter(range(len(searches)))

    def work(number: int) -> None:
        def ask(points: Answer) -> Answer:
            told.put((number, points))
            got = answers[number].get()
            if got is None:
                raise _Abandoned
            return got

        try:
            ended = _Ended(searches[number](ask), None)
        except BaseException as error:
            ended = _Ended(None, error)
        told.put((number, ended))

    threads: dict[int, threading.Thread] = {}

    def begin() -> None:
        for number in left:
            answers[number] = SimpleQueue()
            threads[number] = threading.Thread(target=work, args=(number,), daemon=True)
            threads[number].start()
            return

    try:
        for _ in range(together):
            begin()
        waiting: dict[int, Answer] = {}
        while threads:
            number, what = told.get()
            if isinstance(what, _Ended):
                threads.pop(number).join()
                if what.error is not None:
                    raise what.error
                found[number] = what.found  # type: ignore[assignment]
                begin()
            else:
                waiting[number] = what
            if threads and len(waiting) == len(threads):
                order = sorted(waiting)
                answered = answer(np.concatenate([waiting[number] for number in order]))
                ends = np.cumsum([len(waiting[number]) for number in order])
                for number, part in zip(order, np.split(answered, ends[:-1]), strict=True):
                    answers[number].put(part)
                waiting = {}
    finally:
        for number, thread in threads.items():
            answers[number].put(None)
            thread.join()
    return [found[number] for number in range(len(searches))]

"""An observation that a result over many networks stands on, or why there is none."""

from __future__ import annotations

from typing import Literal

from bench.engine.inline import InlineEngine
from bench.engine.networks import NetworkFailure, one_line
from bench.engine.observed import Observed
from bench.interrupts import contained
from bench.store.stored import DamagedArrays
from bench.suite.plan import PlannedObservation


class NoAnswer(Exception):
    """A network has no answer: why, and whether that is a fault."""

    def __init__(self, status: Literal["skipped", "error"], reason: str) -> None:
        super().__init__(reason)
        self.status: Literal["skipped", "error"] = status


def answer_of(engine: InlineEngine, planned: PlannedObservation) -> Observed:
    """An answer; whatever is wrong raises ``NoAnswer``, damaged arrays excepted: these are asked again."""
    try:
        with contained():
            observed = engine.observations.get(planned)
    except DamagedArrays:
        raise
    except NetworkFailure as error:
        raise NoAnswer("error", str(error)) from error
    except Exception as error:
        raise NoAnswer("error", one_line(error)) from error
    if observed.status == "skipped":
        raise NoAnswer("skipped", observed.reason)
    return observed

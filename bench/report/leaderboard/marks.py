"""What a reader must notice: verdicts and marks, as enums."""

from __future__ import annotations

from enum import StrEnum

from bench.results import ValueResult, Verdict
from bench.stats.interval import LEVEL, RESOLUTION

ALARM_AT = 1.0  # of the lower limit beside one further yardstick


class State(StrEnum):
    """A verdict in one word."""

    SHIP = "ship"
    STOP = "stop"
    OPEN = "open"
    ERROR = "error"


class Mark(StrEnum):
    """What one figure says beside its number."""

    NONE = ""
    FAILED = "failed"  # its gate
    INCONCLUSIVE = "inconclusive"  # its gate
    WORSE = "worse"  # surely, among all harms of the suite together
    BETTER = "better"
    ALARM = "alarm"  # its family moved surely further than one further yardstick would


def state_of(verdict: Verdict) -> State:
    """A verdict in one word.

    >>> state_of(Verdict(ship=None, error=True))
    <State.ERROR: 'error'>
    """
    if verdict.error:
        return State.ERROR
    return State.OPEN if verdict.ship is None else State.SHIP if verdict.ship else State.STOP


def mark_of(value: ValueResult) -> Mark:
    """What a reader must notice: a broken gate first, then a gate left open, then a harm whose sign is sure.

    Sure among all harms of the suite together: of some hundreds, one in twenty would be marked by chance if each were
    judged alone. A harm below what float32 resolves of the figure itself has no sign worth a mark, however
    narrow its interval.
    """
    verdicts = {gate.verdict for gate in value.gates}
    if "failed" in verdicts:
        return Mark.FAILED
    if "inconclusive" in verdicts:
        return Mark.INCONCLUSIVE
    if value.kind not in ("quality", "pair") or value.ci is None:
        return Mark.NONE
    low, high = value.ci
    if value.estimate is not None and abs(value.estimate) <= RESOLUTION * abs(value.reference or 0.0):
        return Mark.NONE
    if value.p_adjusted is None or value.p_adjusted > 1 - LEVEL:
        return Mark.NONE
    if low is not None and low > 0:
        return Mark.WORSE
    return Mark.BETTER if high is not None and high < 0 else Mark.NONE


def within_arithmetic(value: ValueResult) -> bool:
    """Whether the estimate is no larger than what another arithmetic route gives; for a harm, its interval too.

    Counts are left out: zero events of n samples have an upper limit, which says more, and an accuracy that stayed
    may hide as many samples won as lost.
    """
    floor = value.numerical_floor
    if value.estimate is None or floor is None or value.interval in ("exact", "score"):
        return False
    if value.kind == "change":
        return value.estimate <= floor
    ends = [value.estimate, *(value.ci or (None,))]
    return value.kind in ("quality", "pair") and all(end is not None and abs(end) <= floor for end in ends)

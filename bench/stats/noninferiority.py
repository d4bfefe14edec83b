"""Four words for a difference: which claim its interval and its adjusted p-values support."""

from __future__ import annotations

from typing import Literal

from bench.stats.interval import Interval

ALPHA = 0.025  # one-sided: what the 95 % interval leaves on each side
Word = Literal["regressed", "improved", "same", "inconclusive"]


def decide(interval: Interval, margin: float, worse: float, better: float, alpha: float = ALPHA) -> Word:
    """The word for a difference of which positive is worse.

    regressed: surely worse than the margin. same: the interval lies within +- margin, equivalence is shown. improved:
    surely better than nothing, and not the same. inconclusive: anything else. ``worse`` and ``better`` are one-sided
    p-values of 'at most the margin' and of 'at least 0', adjusted for all that is judged together; equivalence needs
    no adjustment, since a pass needs every value to pass (an intersection-union test).

    Args:
        interval: 95 % interval of the difference, in its natural unit.
        margin: How much worse is tolerated, at least 0, in the same unit.
        worse: Adjusted p-value of 'it is worse by at most the margin'.
        better: Adjusted p-value of 'it is no better'.
        alpha: The one-sided level.

    Raises:
        ValueError: If the margin is negative.

    >>> decide(Interval(0.04, 0.09, "score"), 0.03, 0.001, 1.0), decide(Interval(-0.01, 0.02, "score"), 0.03, 0.9, 0.2)
    ('regressed', 'same')
    >>> decide(Interval(-0.09, -0.04, "score"), 0.03, 1.0, 0.001)
    'improved'
    >>> decide(Interval(-0.01, 0.04, "score"), 0.03, 0.3, 0.2)
    'inconclusive'
    """
    if margin < 0:
        raise ValueError(f"a margin of {margin} is negative")
    if worse <= alpha:
        return "regressed"
    low, high = interval.low, interval.high
    if low is not None and high is not None and -margin <= low and high <= margin:
        return "same"
    return "improved" if better <= alpha else "inconclusive"


def not_worse(interval: Interval, margin: float) -> bool:
    """Whether harm beyond the margin is excluded: the interval's upper end is on the right side of it.

    >>> not_worse(Interval(-0.2, 0.02, "score"), 0.03), not_worse(Interval(-0.2, None, "score"), 0.03)
    (True, False)
    """
    return interval.high is not None and interval.high <= margin

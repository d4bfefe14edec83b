"""The one shape in which every interval of the project travels."""

from __future__ import annotations

from typing import Literal, NamedTuple

Method = Literal["bootstrap", "score", "exact", "t", "none"]

LEVEL = 0.95
RESOLUTION = 1e-6  # relative; float32 keeps 6e-8 of a number, a network's sums lose a digit


class Interval(NamedTuple):
    """Limits and how they were found; a limit that does not exist is None.

    >>> Interval(0.1, 0.3, "bootstrap").above(0.05), Interval(None, 0.3, "exact").above(0.05)
    (True, False)
    """

    low: float | None
    high: float | None
    method: Method

    def above(self, tolerance: float) -> bool:
        """Whether it lies wholly above; an absent lower limit never does."""
        return self.low is not None and self.low > tolerance

    def within(self, least: float, most: float) -> Interval:
        """The part within the quantity's own range [least, most]: as likely to hold the truth, which lies there.

        >>> Interval(-0.2, 0.3, "bootstrap").within(0.0, 1.0)
        Interval(low=0.0, high=0.3, method='bootstrap')
        """
        low, high = (None if limit is None else float(min(max(limit, least), most)) for limit in self[:2])
        return Interval(low, high, self.method)

    def below(self, tolerance: float) -> bool:
        """Whether it lies wholly below or at; an absent upper limit never does."""
        return self.high is not None and self.high <= tolerance


NO_INTERVAL = Interval(None, None, "none")

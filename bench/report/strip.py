"""A gap on a strip from 0 (same function) past 1 (as different as the yardstick): positions, and the same in words."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.board_text import GapText
from bench.report.yardsticks import YardstickWords

END = 2.0
LEFT, RIGHT = 2.0, 97.0


def position(gap: float) -> float:
    """The position of a gap in per cent of the strip's width; beyond ``END`` everything lies at the right end.

    >>> position(0.0), position(1.0), position(99.0)
    (2.0, 49.5, 97.0)
    """
    return round(LEFT + (RIGHT - LEFT) * min(max(gap, 0.0), END) / END, 2)


@dataclass(frozen=True)
class Span:
    """A stretch of the strip in per cent."""

    start: float
    end: float

    @property
    def width(self) -> float:
        """The width in per cent, never less than what can be seen."""
        return round(max(self.end - self.start, 0.5), 2)


def strip_words(text: GapText, yardstick: YardstickWords) -> str:
    """The strip of one family of one variant for those who cannot see it."""
    gap = text.numbers
    parts = [f"{text.family}: no gap" if gap.unknown else f"{text.family}: gap {text.figure}"]
    if text.alarm_words:
        parts.append(text.alarm_words)
    if gap.band is not None:
        parts.append(f"{yardstick.networks} lie between {gap.band[0]:.2f} and {gap.band[1]:.2f}")
    return "; ".join(parts)

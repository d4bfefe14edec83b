"""A gap and its interval as positions on a strip from 0 (same function) past 1 (as different as the yardstick)."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.board_text import GapText
from bench.report.leaderboard import GapEntry
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


@dataclass(frozen=True)
class Strip:
    """The drawing of one family: each part only where it exists."""

    point: float | None
    interval: Span | None
    upper_only: bool
    beyond: bool
    alarm: float | None
    band: Span | None
    words: str


def strip(text: GapText, yardstick: YardstickWords) -> Strip:
    """The drawing of one family of one variant; ``words`` says the same for those who cannot see it."""
    gap = text.numbers
    far = gap.high if gap.high is not None else gap.gap
    interval = None
    if gap.high is not None:
        interval = Span(position(gap.low if gap.low is not None else 0.0), position(gap.high))
    parts = [f"{text.family}: no gap" if gap.unknown else f"{text.family}: gap {text.figure}"]
    if text.alarm_words:
        parts.append(text.alarm_words)
    if gap.band is not None:
        parts.append(f"{yardstick.networks} lie between {gap.band[0]:.2f} and {gap.band[1]:.2f}")
    return Strip(
        point=_point(gap),
        interval=interval,
        upper_only=gap.low is None and gap.high is not None,
        beyond=far is not None and far > END,
        alarm=position(gap.alarm) if gap.alarm is not None and gap.alarm > 0 else None,
        band=None if gap.band is None else Span(position(gap.band[0]), position(gap.band[1])),
        words="; ".join(parts),
    )


def _point(gap: GapEntry) -> float | None:
    """The gap itself, where it is more than an upper limit and on the strip."""
    sure = gap.low is not None or gap.high is None
    return position(gap.gap) if gap.gap is not None and gap.gap <= END and sure else None


def ticks(yardstick: YardstickWords) -> list[tuple[float, str]]:
    """The axis: positions and what stands there."""
    words = {0.0: "0 same", 0.5: "0.5", 1.0: f"1 {yardstick.at_one}", 2.0: "2"}
    return [(position(gap), text) for gap, text in words.items()]

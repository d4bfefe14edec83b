"""A gap and its interval as positions on a strip from 0 (same function) past 1 (as different as the yardstick)."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.board import GapRow
from bench.report.yardsticks import YardstickWords

END = 2.0
LEFT, RIGHT = 2.0, 97.0


def position(gap: float) -> float:
    """Where a gap lies, in per cent of the strip's width; beyond ``END`` everything lies at the right end.

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
        """Never less than what can be seen."""
        return round(max(self.end - self.start, 0.5), 2)


@dataclass(frozen=True)
class Strip:
    """What is drawn of one family: each part only where it exists."""

    point: float | None
    interval: Span | None
    upper_only: bool
    beyond: bool
    alarm: float | None
    band: Span | None
    words: str


def strip(row: GapRow, yardstick: YardstickWords) -> Strip:
    """The drawing of one family of one variant; ``words`` says the same for those who cannot see it."""
    high = row.high if row.high is not None else row.gap
    interval = None
    if row.high is not None:
        interval = Span(position(row.low if row.low is not None else 0.0), position(row.high))
    parts = [f"{row.family}: gap {row.figure}" if row.figure.sort is not None else f"{row.family}: no gap"]
    if row.alarm_words:
        parts.append(row.alarm_words)
    if row.band is not None:
        parts.append(f"{yardstick.networks} lie between {row.band[0]:.2f} and {row.band[1]:.2f}")
    return Strip(
        point=position(row.gap) if row.gap is not None and row.gap <= END and row.low is not None else _alone(row),
        interval=interval,
        upper_only=row.low is None and row.high is not None,
        beyond=high is not None and high > END,
        alarm=position(row.alarm) if row.alarm is not None and row.alarm > 0 else None,
        band=None if row.band is None else Span(position(row.band[0]), position(row.band[1])),
        words="; ".join(parts),
    )


def _alone(row: GapRow) -> float | None:
    """A point without an interval (fewer than four yardsticks)."""
    return position(row.gap) if row.gap is not None and row.gap <= END and row.high is None else None


def ticks(yardstick: YardstickWords) -> list[tuple[float, str]]:
    """The axis: positions and what stands there."""
    words = {0.0: "0 same", 0.5: "0.5", 1.0: f"1 {yardstick.at_one}", 2.0: "2"}
    return [(position(gap), text) for gap, text in words.items()]

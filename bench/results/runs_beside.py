"""Two runs beside each other, network by network: what a page of both shows; no file holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.results.ratios import RunRatio
from bench.results.values import ValueResult


@dataclass(frozen=True)
class RunDifference:
    """How much worse one network's own figure is in the later run than in the earlier one, on the same samples."""

    variant: str | None  # None: the reference
    target: str
    replicate: int | None
    metric: str
    params: dict[str, Any]
    value: str
    like: ValueResult = field(repr=False)  # the value, for its unit
    difference: float | None = None  # positive: the later one is worse; in the value's unit
    ci: tuple[float, float] | None = None  # paired 95 % interval by itself: score for proportions, else bootstrap
    numerical_floor: float = 0.0  # arithmetic alone may move the difference this far from 0
    unchanged: bool = False  # both runs hold one and the same measurement
    reason: str = ""  # why there is no difference


@dataclass(frozen=True)
class RunsBeside:
    """All that is said of two runs in pairs: each named by the place that it was read from."""

    before: str
    after: str
    ratios: tuple[RunRatio, ...] = ()
    differences: tuple[RunDifference, ...] = ()

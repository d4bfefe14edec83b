"""Judgements of gates: one value of one cell in one word, and a run's judgements together."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.results.base import Record
from bench.results.cells import CellRecord
from bench.results.ratios import RunRatio

Word = Literal["regressed", "improved", "same", "inconclusive", "incomparable", "missing", "errored", "accepted"]


class Judgement(CellRecord):
    """One value of one cell against a baseline, or one gate against the reference, in one word."""

    value: str
    against: Literal["baseline", "first", "reference"]
    rule: str = Field("", description="of the gate; timing for latencies")
    per: Literal["class"] | None = Field(None, description="judged in every class apart; null: over all samples")
    verdict: Word
    because: str = Field("", description="figures, interval, margin, and why")
    estimate: float | None = Field(None, description="how much worse than the baseline; positive is worse")
    ci: tuple[float | None, float | None] | None = Field(None, description="95 % interval of the estimate")
    margin: float | None = None
    p_value: float | None = Field(None, description="that it is worse by no more than the margin, after Holm")
    not_worse: bool = Field(False, description="harm beyond the margin is excluded")
    decides: bool = Field(True, description="false: reported, does not count for the exit code")
    look: str = Field("", description="the command to look closer")


class Comparison(Record):
    """A run against a baseline, or against another run."""

    suite: str
    baseline: str = Field(description="what it was compared with, in words")
    strict: bool = False
    exit_code: int
    closing: str = Field(description="the counts, in one line")
    notes: list[str] = Field(default_factory=list, description="what holds for the run beside its judgements")
    judgements: list[Judgement] = Field(default_factory=list)
    ratios: list[RunRatio] = Field(
        default_factory=list, description="of crbench compare: each variant's change now beside before; decides nothing"
    )

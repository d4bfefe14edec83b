"""One variant on one target: verdict, families, costs."""

from __future__ import annotations

from pydantic import Field

from bench.results.base import Record
from bench.results.stages import Artefact, StageResult, StepUse
from bench.results.values import ValueReference


class FamilyResult(Record):
    """A family's headline and its alarm: the largest simultaneous lower limit of its gaps."""

    headline: ValueReference | None = Field(None, description="named before anyone looks; null: not in the suite")
    gap: float | None = None
    gap_ci: tuple[float | None, float | None] | None = None
    alarm: float | None = None
    alarm_value: ValueReference | None = Field(None, description="whose simultaneous lower limit is the alarm")
    reason: str = ""


class Verdict(Record):
    """May it ship? True and false need evidence; null is undecided, or an error."""

    ship: bool | None = None
    error: bool = Field(False, description="a cell failed, so that nothing could be decided")
    because: str = ""


class VariantResult(Record):
    """One variant on one target."""

    name: str
    target: str
    replicate: int | None = 0
    steps: list[StepUse] = Field(default_factory=list)
    artefact: Artefact | None = None
    cost: dict[str, float | None] = Field(default_factory=dict)
    verdict: Verdict = Field(default_factory=Verdict)
    families: dict[str, FamilyResult] = Field(default_factory=dict)
    stages: list[StageResult] = Field(default_factory=list, description="where the suite asks for them; first to last")

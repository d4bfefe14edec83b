"""The stage waterfall of a variant as numbers and enums, before anything is text."""

from __future__ import annotations

from bench.report.waterfall.build import stages_of
from bench.report.waterfall.model import (
    Apart,
    Bar,
    MissingStages,
    Quantity,
    StageFigure,
    Stages,
    StageTable,
    Waterfall,
)

__all__ = ["Apart", "Bar", "MissingStages", "Quantity", "StageFigure", "StageTable", "Stages", "Waterfall", "stages_of"]

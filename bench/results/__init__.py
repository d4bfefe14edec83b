"""The results schema and nothing else: what ``results.json`` and the JSON of other commands hold."""

from __future__ import annotations

from bench.results.cells import Cell, CellRecord, Example, Parity, TwinParity
from bench.results.equivalents import EnsemblePoint, EquivalentFigures, EquivalentsResult
from bench.results.exemplars import ClassHarm, ExemplarsResult, MeanAccuracies, ShownExemplar
from bench.results.judgements import Comparison, Judgement, Word
from bench.results.landscape import LandscapePath, LandscapePlane, LandscapePoint, LandscapeResult
from bench.results.layers import LayerReport
from bench.results.ranks import HarmDifference, RankEntry, RankResult, Unranked
from bench.results.ratios import RatioFigures, RunRatio, VariantRatio
from bench.results.run import (
    SCHEMA_VERSION,
    DataInfo,
    GitState,
    MachineInfo,
    Provenance,
    ReferenceResult,
    Results,
    SuiteInfo,
)
from bench.results.runs_beside import RunDifference, RunsBeside
from bench.results.series import SeriesPoint, SeriesResult
from bench.results.stages import (
    Artefact,
    NetworkKey,
    SourceRecord,
    StageMetric,
    StageResult,
    StageValue,
    StepRecord,
    StepUse,
)
from bench.results.transfer import TransferNetwork, TransferResult, TransferShare
from bench.results.values import BoundInfo, GateResult, Kind, Rule, ValueReference, ValueResult
from bench.results.variants import FamilyResult, VariantResult, Verdict

__all__ = [
    "SCHEMA_VERSION",
    "Artefact",
    "BoundInfo",
    "Cell",
    "CellRecord",
    "ClassHarm",
    "Comparison",
    "DataInfo",
    "EnsemblePoint",
    "EquivalentFigures",
    "EquivalentsResult",
    "Example",
    "ExemplarsResult",
    "FamilyResult",
    "GateResult",
    "GitState",
    "HarmDifference",
    "Judgement",
    "Kind",
    "LandscapePath",
    "LandscapePlane",
    "LandscapePoint",
    "LandscapeResult",
    "LayerReport",
    "MachineInfo",
    "MeanAccuracies",
    "NetworkKey",
    "Parity",
    "Provenance",
    "RankEntry",
    "RankResult",
    "RatioFigures",
    "ReferenceResult",
    "Results",
    "Rule",
    "RunDifference",
    "RunRatio",
    "RunsBeside",
    "SeriesPoint",
    "SeriesResult",
    "ShownExemplar",
    "SourceRecord",
    "StageMetric",
    "StageResult",
    "StageValue",
    "StepRecord",
    "StepUse",
    "SuiteInfo",
    "TransferNetwork",
    "TransferResult",
    "TransferShare",
    "TwinParity",
    "Unranked",
    "ValueReference",
    "ValueResult",
    "VariantRatio",
    "VariantResult",
    "Verdict",
    "Word",
]

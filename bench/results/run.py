"""A whole run: suite, provenance, reference, verdict, variants and cells."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from bench.results.base import Record
from bench.results.cells import Cell, CellRecord
from bench.results.equivalents import EquivalentsResult
from bench.results.exemplars import ExemplarsResult
from bench.results.landscape import LandscapeResult
from bench.results.ranks import RankResult
from bench.results.ratios import VariantRatio
from bench.results.series import SeriesResult
from bench.results.transfer import TransferResult
from bench.results.variants import VariantResult, Verdict

SCHEMA_VERSION = 2


class DataInfo(Record):
    """The data that was trained, calibrated and measured on; sizes in samples."""

    name: str = ""
    fingerprint: str = ""
    train: int = 0
    calibration: int = 0
    evaluation: int = 0
    input: dict[str, Any] = Field(default_factory=dict, description="shape, classes, bounds, ...")


class SuiteInfo(Record):
    """The suite of a run."""

    name: str
    fingerprint: str
    path: str = ""
    data: DataInfo | None = None


class GitState(Record):
    """The state of the folder that the run was started in; null outside of a repository."""

    commit: str | None = None
    dirty: bool | None = None


class MachineInfo(Record):
    """The machine that measured."""

    system: str = ""
    cpu: str = ""
    cores: int | None = None
    cpu_features: list[str] = Field(default_factory=list, description="those that change what 8-bit kernels compute")
    integer_sums: dict[str, Literal["exact", "saturating"] | None] = Field(
        default_factory=dict, description="how each of ONNX Runtime's providers sums 8-bit products here; null: unknown"
    )
    fingerprint: str = ""


class Provenance(Record):
    """The origin of the numbers."""

    crbench: str | None
    started: str = ""
    finished: str = ""
    argv: list[str] = Field(default_factory=list)
    git: GitState = Field(default_factory=GitState)
    python: str = ""
    packages: dict[str, str | None] = Field(default_factory=dict)
    machine: MachineInfo = Field(default_factory=MachineInfo)
    threads: dict[str, str] = Field(default_factory=dict)
    device: str = "cpu"
    seed: int = 0
    rerun: Literal["missing", "failed", "always", "never"] = "missing"
    warnings: list[str] = Field(default_factory=list)
    reused: int = Field(0, description="cells that came from the store")


YardstickKind: TypeAlias = Literal["retrained", "weight-noise", "given", "none"]


class ReferenceResult(Record):
    """The reference and its yardsticks."""

    description: dict[str, Any] = Field(default_factory=dict)
    key: str = ""
    yardsticks: int = 0
    yardstick_kind: YardstickKind = Field(
        "none", description="retrained here, copies with weight noise, or networks that were given as yardsticks"
    )


class Results(Record):
    """The results of a whole run."""

    schema_version: int = Field(SCHEMA_VERSION, alias="schema")
    suite: SuiteInfo
    run: Provenance | None = Field(None, description="null: made by hand")
    reference: ReferenceResult
    verdict: Verdict = Field(default_factory=Verdict)
    variants: list[VariantResult] = Field(default_factory=list)
    cells: list[Cell] = Field(default_factory=list)
    variant_ratios: list[VariantRatio] = Field(
        default_factory=list,
        description="of every headline change: each variant beside the next nearer one, and beside the nearest;"
        " of a family's headline beside every nearer one",
    )
    ranks: list[RankResult] = Field(
        default_factory=list,
        description="of every headline change and every harm with an interval: the places that each variant may hold",
    )
    series: list[SeriesResult] = Field(
        default_factory=list, description="values against the strength of a compression, as the suite asks"
    )
    landscape: list[LandscapeResult] = Field(
        default_factory=list, description="the loss in the weight space of references, as the suite asks"
    )
    exemplars: list[ExemplarsResult] = Field(
        default_factory=list, description="samples whose modal label over many networks changes, as the suite asks"
    )
    transfer: list[TransferResult] = Field(
        default_factory=list, description="inputs made on one network judged on another, as the suite asks"
    )
    equivalents: list[EquivalentsResult] = Field(
        default_factory=list, description="how many networks of a deep ensemble each network is worth"
    )
    left_out: list[CellRecord] = Field(default_factory=list, description="gated cells that --only or --shard left out")
    arrays_sha256: str = Field("", description="of the arrays.npz beside it; empty: none was written with it")
    sha256: str = Field("", description="of the canonical JSON of all else; empty: in memory alone")

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)

"""Deep-ensemble equivalents: how many single networks, combined, are as good as one network."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from bench.results.base import Record

Censored: TypeAlias = Literal["", "below", "above"]


class EnsemblePoint(Record):
    """Deep ensembles of one size, random subsets of the pool."""

    size: int
    subsets: int = Field(description="different ones that were looked at")
    calibrated_nll: float = Field(description="mean over subsets, nats")
    least: float = Field(description="of the best subset")
    most: float = Field(description="of the worst subset")


class EquivalentFigures(Record):
    """What one network is worth; ``below``: less than the mean single network, ``above``: more than the whole pool."""

    role: Literal["reference", "variant"]
    name: str = Field(description="reference, or the variant's name")
    target: str
    replicate: int = 0
    status: Literal["ok", "skipped", "error"] = "ok"
    reason: str = Field("", description="why there is no figure")
    calibrated_nll: float | None = Field(None, description="nats, each half at the temperature of the other half")
    equivalent: float | None = Field(None, description="networks; 1 or the pool's size where it is censored")
    ci: tuple[float, float] | None = Field(None, description="95 %, over samples, subsets and the luck of a training")
    censored: Censored = ""
    ci_censored: tuple[Censored, Censored] = ("", "")
    file_bytes: float | None = Field(None, description="of the network as its target stores it")
    cpu_seconds: float | None = Field(
        None, description="that training and compressing it took, all members together; null: a part of it was kept"
    )
    epochs: float | None = Field(
        None,
        description="passes over the training samples, compression's too; members trained together share one",
    )
    macs: float | None = Field(None, description="multiply-accumulates for one sample, of all members together")


class EquivalentsResult(Record):
    """Deep-ensemble equivalents of a reference and its variants on one pool."""

    name: str = Field(description="of the suite's section")
    status: Literal["ok", "skipped", "error"] = "ok"
    reason: str = Field("", description="why there are no figures, or the first fault")
    samples: int = Field(0, description="the first so many of the evaluation order")
    pool: int = Field(0, description="single networks of the reference's model and recipe")
    curve: list[EnsemblePoint] = Field(default_factory=list)
    networks: list[EquivalentFigures] = Field(default_factory=list)
    cached: bool = False

"""The transfer matrix: inputs made on one network, judged on another."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.results.base import Record


class TransferNetwork(Record):
    """A network of the matrix, on its target."""

    role: Literal["reference", "variant", "yardstick"]
    name: str = Field(description="reference, the variant's name, or yardstick 1, ...")
    target: str
    status: Literal["ok", "skipped", "error"] = Field("ok", description="of the attack on it")
    reason: str = Field("", description="why no inputs were made on it")
    gradient: Literal["exact", "straight_through"] | None = Field(None, description="null: no gradient was followed")


class TransferShare(Record):
    """The inputs of one network on another: how many of the samples that both get right fool it."""

    n: int = Field(0, description="samples that both networks get right")
    fooled: int | None = None
    share: float | None = None
    ci: tuple[float, float] | None = Field(None, description="95 %, exact (Clopper-Pearson)")
    reason: str = Field("", description="why there is no share")


class TransferResult(Record):
    """A transfer matrix, of the first replicate."""

    name: str = Field(description="of the suite's section")
    status: Literal["ok", "skipped", "error"] = Field(
        "ok", description="error: a network could not be attacked or judged"
    )
    reason: str = ""
    samples: int = Field(0, description="the first so many of the evaluation order")
    attack: dict[str, Any] = Field(default_factory=dict, description="attacks, norm, epsilon; how classes were chosen")
    networks: list[TransferNetwork] = Field(default_factory=list)
    matrix: list[list[TransferShare]] = Field(
        default_factory=list, description="a row for each network on which inputs are made, a column where it is judged"
    )
    cached: bool = False

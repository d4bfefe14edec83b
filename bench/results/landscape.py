"""The loss between and around the members of a network, in its weight space."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.results.base import Record


class LandscapePoint(Record):
    """The network at one place."""

    name: str = Field(description="the parameter of a line or curve, else what the place is")
    weights: list[float] = Field(description="of the modes; they sum to 1")
    loss: float = Field(description="mean negative log likelihood, nats")
    loss_ci: tuple[float, float] | None = Field(None, description="95 %, over samples, of this point alone")
    accuracy: float
    accuracy_ci: tuple[float, float] | None = Field(None, description="95 %, exact (Clopper-Pearson)")


class LandscapePath(Record):
    """Places on a line or curve in their order, or in a simplex, and how far the loss rises between the ends."""

    kind: Literal["line", "curve", "simplex"]
    ends: list[str] = Field(description="modes between which it rises")
    points: list[LandscapePoint]
    barrier: float = Field(
        description="the most by which the loss exceeds the interpolation of the ends', nats; of the points alone, the"
        " ends among them, so 0 or more"
    )
    barrier_ci: tuple[float, float] | None = Field(
        None, description="95 %, over samples, simultaneous over the points: at least that coverage"
    )
    barrier_at: str = Field(description="name of the point")


class LandscapePlane(Record):
    """The loss on a grid of the plane through three modes, with orthonormal axes; units of weights."""

    modes: list[str]
    coordinates: list[tuple[float, float]] = Field(description="of the modes: the first is the origin")
    x: list[float] = Field(description="along second mode - first mode")
    y: list[float]
    loss: list[list[float]] = Field(description="mean negative log likelihood in nats, a row for each y, low to high")
    accuracy: list[list[float]]


class LandscapeResult(Record):
    """The weight space of one reference."""

    name: str = Field(description="of the suite's section")
    replicate: int | None = None
    status: Literal["ok", "skipped", "error"] = "ok"
    reason: str = ""
    method: str = ""
    samples: int = Field(0, description="the first so many of the evaluation order")
    batch_norm_samples: int = Field(0, description="training samples for BatchNorm's statistics of every network")
    modes: list[str] = Field(default_factory=list)
    paths: list[LandscapePath] = Field(default_factory=list)
    plane: LandscapePlane | None = None
    plane_reason: str = Field("", description="why there is no plane")
    cached: bool = False

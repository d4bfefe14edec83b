"""One sample's questions to a network, as a model of foolbox: in coordinates from 0 to 1, counted and remembered."""

from __future__ import annotations

import warnings
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from eagerpy.astensor import astensor
from numpy.typing import NDArray

with warnings.catch_warnings():  # foolbox imports scipy by a name that scipy gives up
    warnings.simplefilter("ignore", DeprecationWarning)
    from foolbox.criteria import Criterion
    from foolbox.models import Model
    from foolbox.types import Bounds

from bench.functional.attacks.allowed import lengths
from bench.functional.attacks.lockstep import Ask

Float = NDArray[np.float64]
Images = NDArray[np.float32]
Norm: TypeAlias = Literal["linf", "l2"]


class SearchDone(Exception):
    """All queries are used, or the nearest input is near enough."""


class OneSample(Model):  # type: ignore[misc,unused-ignore]
    """One sample's questions: the library's model, which counts and remembers."""

    def __init__(
        self, ask: Ask, x: Images, label: int, norm: Norm, queries: int, enough: float, bounds: tuple[float, float]
    ) -> None:
        self.ask, self.x, self.label, self.norm = ask, x, label, norm
        self.queries, self.enough = queries, enough
        self.low, self.high = np.float64(bounds[0]), np.float64(bounds[1])
        self.nearest, self.distance, self.asked = x, np.inf, 0
        self.known: dict[bytes, bool] = {}

    @property
    def bounds(self) -> Bounds:
        """Of the library's coordinates."""
        return Bounds(0, 1)

    def __call__(self, inputs: Any) -> Any:
        """Whether inputs (m, ...) are wrong: class 1, else class 0, as scores (m, 2)."""
        points = astensor(inputs).raw.numpy()
        wrong = self.wrong_each(points) if len(points) > 1 else np.array([self.wrong(points[0])])
        return astensor(torch.from_numpy(np.stack([~wrong, wrong], axis=1)).double())

    def to_unit(self, x: Images) -> Float:
        """An input in the library's coordinates."""
        return np.asarray(np.clip((x.astype(np.float64) - self.low) / (self.high - self.low), 0, 1))

    def wrong(self, unit: Float) -> bool:
        """Whether the network gives an input another class; what was asked so before is not asked again."""
        key = blake2b(unit.tobytes(), digest_size=16).digest()
        if key not in self.known:
            self.known[key] = bool(self.wrong_each(unit[None])[0])
        return self.known[key]

    def wrong_each(self, units: Float) -> NDArray[np.bool_]:
        """Whether the network gives inputs (m, ...) another class; raises ``SearchDone`` at the end of the queries."""
        within = np.clip(self.low + (self.high - self.low) * units, self.low, self.high)
        points = within.astype(np.float32)[: self.queries - self.asked]
        if len(points):
            self.asked += len(points)
            wrong = np.asarray(self.ask(points) != self.label)
            self._remember(points[wrong])
        if len(points) < len(units) or self.distance <= self.enough:
            raise SearchDone
        return wrong

    def _remember(self, points: Images) -> None:
        """Keep the nearest of inputs of another class."""
        if len(points):
            distances = lengths(points.astype(np.float64) - self.x, self.norm)
            first = int(distances.argmin())
            if distances[first] < self.distance:
                self.nearest, self.distance = points[first], float(distances[first])


class IsWrong(Criterion):  # type: ignore[misc,unused-ignore]
    """The library's test of what ``OneSample`` answers."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __call__(self, perturbed: Any, outputs: Any) -> Any:
        """Class 1: (m,) of the outputs (m, 2)."""
        return astensor(astensor(outputs).raw[:, 1] > 0)

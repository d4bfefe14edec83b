"""Samples with stable ids, disjoint splits, and the registry of loaders."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from bench.networks.network import InputSpec
from bench.registry import Registry

EVALUATION: Final = "evaluation"
CALIBRATION: Final = "calibration"


@dataclass(frozen=True, eq=False)
class Samples:
    """Images (n, channels, height, width) or vectors (n, features), float32 in the user's bounds, with fixed ids."""

    ids: tuple[str, ...]
    x: NDArray[np.float32]
    y: NDArray[np.int64] | None

    def __post_init__(self) -> None:
        assert self.x.shape[0] == len(self.ids)
        assert self.y is None or self.y.shape == (len(self.ids),)

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.ids)

    def take(self, index: slice | NDArray[np.int64]) -> Samples:
        """A part or another order of the samples."""
        ids = tuple(np.asarray(self.ids, dtype=object)[index])
        return Samples(ids, self.x[index], None if self.y is None else self.y[index])

    @cached_property
    def ids_fingerprint(self) -> str:
        """sha256 of the ids in their order."""
        return hashlib.sha256("\x1f".join(self.ids).encode()).hexdigest()

    @cached_property
    def inputs_fingerprint(self) -> str:
        """The sha256 of the pixels."""
        digest = hashlib.sha256(str((self.x.shape, self.x.dtype.str)).encode())
        for start in range(0, len(self.x), 256):
            digest.update(np.ascontiguousarray(self.x[start : start + 256]).tobytes())
        return digest.hexdigest()

    @cached_property
    def labels_fingerprint(self) -> str:
        """sha256 of the labels; of nothing where there are none."""
        return hashlib.sha256(b"" if self.y is None else np.ascontiguousarray(self.y).tobytes()).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over ids, labels and pixels."""
        digest = hashlib.sha256("\x1f".join(self.ids).encode())
        digest.update(str((self.x.shape, self.x.dtype.str)).encode())
        for start in range(0, len(self.x), 256):  # large sets lie on disk and are never whole in memory
            digest.update(np.ascontiguousarray(self.x[start : start + 256]).tobytes())
        digest.update(b"" if self.y is None else np.ascontiguousarray(self.y).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three disjoint splits of one source; ``partial``: it need not show every class (a handful of ImageNet)."""

    name: str
    input: InputSpec
    train: Samples
    calibration: Samples
    evaluation: Samples
    partial: bool = False
    further: Mapping[str, Samples] = field(default_factory=dict)  # out of distribution, by name

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over all three splits."""
        parts = (self.train.fingerprint, self.calibration.fingerprint, self.evaluation.fingerprint)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    @cached_property
    def sets(self) -> Mapping[str, Samples]:
        """The samples that a probe may be asked on, by name: two splits, and sets out of distribution."""
        return {**self.further, EVALUATION: self.evaluation, CALIBRATION: self.calibration}

    def samples_named(self, name: str) -> Samples:
        """The samples of that name; none where the data has none."""
        return self.sets.get(name, self.evaluation.take(slice(0, 0)))


class Loader(ABC):
    """A source of images: a frozen dataclass of parameters with one method."""

    name: ClassVar[str]

    @abstractmethod
    def load(self, evaluation: int, calibration: int) -> Dataset:
        """Split the source; fewer samples than asked raise ``UserError``."""


loaders: Registry[type[Loader]] = Registry("loader", "bench.data")

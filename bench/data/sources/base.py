"""Samples out of distribution: where they come from, and the checks that every set must pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import ClassVar

import numpy as np

from bench.data.base import Dataset, Samples
from bench.data.splitting import check_values
from bench.errors import UserError
from bench.registry import Registry


class Source(ABC):
    """Samples that the network was not made for: a frozen dataclass of parameters with one method."""

    name: ClassVar[str]

    @abstractmethod
    def samples(self, dataset: Dataset, where: str) -> Samples:
        """The samples beside this data; what cannot be read raises ``UserError`` at ``where``."""


sources: Registry[type[Source]] = Registry("source", "bench.data.sources")


def with_sources(dataset: Dataset, given: Mapping[str, Source]) -> Dataset:
    """The data set with further samples by name.

    Raises:
        UserError: a set has no sample, another shape than the data, values that are not finite or out of bounds, one id
            twice, or evaluation samples among its own.
    """
    if not given:
        return dataset
    further = {
        name: _checked(source.samples(dataset, f"ood.{name}"), dataset, f"ood.{name}") for name, source in given.items()
    }
    return replace(dataset, further={**dataset.further, **further})


def _checked(samples: Samples, dataset: Dataset, where: str) -> Samples:
    """The set without labels, which mean nothing out of distribution."""
    if len(samples) == 0:
        raise UserError.at(where, "no samples", "give at least one")
    shape = tuple(samples.x.shape[1:])
    if shape != tuple(dataset.input.shape):
        raise UserError.at(where, f"samples of shape {shape}", f"the data's are {tuple(dataset.input.shape)}")
    check_values(samples.x, dataset.input.bounds, where)
    if len(set(samples.ids)) != len(samples):
        raise UserError.at(where, "an id is given twice", "give every sample one id")
    known = {_content(x) for x in dataset.evaluation.x}
    shared = sum(_content(x) in known for x in samples.x)
    if shared:
        what = f"{shared} of {len(samples)} samples are evaluation samples"
        raise UserError.at(where, what, "leave them out: they are in distribution")
    return Samples(samples.ids, samples.x, None)


def _content(x: np.ndarray) -> bytes:
    """A fingerprint of one sample's values; 0 and -0 are one."""
    return blake2b(np.ascontiguousarray(x + np.float32(0)).tobytes(), digest_size=16).digest()

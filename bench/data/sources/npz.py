"""Samples out of distribution from a user's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from bench.data.base import Dataset, Samples
from bench.data.npz import read_npz
from bench.data.sources.base import Source, sources
from bench.registry import parameters


@sources.register("npz-file")
@parameters
class NpzFile(Source):
    """``x`` of a numpy ``.npz`` file, in the data's bounds; labels ``y`` are not looked at. Ids are ``npz/ROW``."""

    path: Annotated[Path, Field(description="the .npz file; relative paths start at the current folder")]

    def samples(self, dataset: Dataset, where: str) -> Samples:
        """All samples of the file."""
        return read_npz(self.path, dataset.input.bounds, where)

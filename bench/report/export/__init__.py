"""A run for other tools: each format is a function from results to files, named in ``FORMATS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bench.report.export.bencher import bencher
from bench.report.export.github_benchmark import github_benchmark
from bench.report.export.parquet import parquet
from bench.report.export.tidy_csv import tidy_csv
from bench.results import Results

FORMATS: Final[Mapping[str, Callable[[Results], Mapping[str, str | bytes]]]] = {
    "csv": tidy_csv,
    "github-benchmark": github_benchmark,
    "bencher": bencher,
    "parquet": parquet,
}

__all__ = ["FORMATS", "bencher", "github_benchmark", "parquet", "tidy_csv"]

"""What failed in a run, wherever its results say so."""

from __future__ import annotations

from collections.abc import Iterator

from bench.results import Results
from bench.results.base import Record


def failures(results: Results) -> list[str]:
    """What failed in a run, a line each; empty where nothing did.

    >>> from bench.results import Cell, ReferenceResult, SuiteInfo
    >>> broken = Cell(variant="int8", target="edge", metric="fidelity.accuracy", family="fidelity", status="error",
    ...     reason="out of memory")
    >>> suite, reference = SuiteInfo(name="tiny", fingerprint=""), ReferenceResult()
    >>> failures(Results(suite=suite, reference=reference, cells=[broken]))
    ['int8/edge/fidelity.accuracy: out of memory']
    """
    lines = [f"{cell.label}: {cell.reason}" for cell in results.cells if cell.status == "error"]
    for name in type(results).model_fields:
        if name != "cells":
            lines += [f"{name}: {reason}" for reason in _failed(getattr(results, name))]
    if results.verdict.error and not lines:
        lines.append(results.verdict.because)
    return lines


def _failed(part: object) -> Iterator[str]:
    """The reasons of every record within that is an error."""
    if isinstance(part, Record):
        if getattr(part, "status", "") == "error":
            yield str(getattr(part, "reason", ""))
        for name in type(part).model_fields:
            yield from _failed(getattr(part, name))
    elif isinstance(part, list | dict):
        for item in part if isinstance(part, list) else part.values():
            yield from _failed(item)

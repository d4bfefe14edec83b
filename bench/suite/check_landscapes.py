"""Checks a suite's landscapes: how much is looked at, and on how many samples."""

from __future__ import annotations

from typing import Any

from bench.suite.check_networks import tables_in
from bench.suite.findings import Findings
from bench.suite.suite import Landscape
from bench.suite.tables import LandscapeTable


def build_landscapes(findings: Findings, raw: dict[str, Any], evaluation: int | None) -> tuple[Landscape, ...]:
    """Every landscape that is sound."""
    made = []
    for index, item in tables_in(raw, "landscape"):
        table = findings.parse(LandscapeTable, item, ("landscape", index))
        if table is None:
            continue
        if table.samples is not None and evaluation is not None and table.samples > evaluation:
            what = f"{table.samples} are more than the {evaluation} evaluation samples"
            findings.add(("landscape", index, "samples"), what, f"give at most {evaluation}")
        made.append(Landscape(**table.model_dump()))
    return tuple(made)
